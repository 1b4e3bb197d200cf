// Runs what must be refused and returns its error, so that a test can hold code and message against the rule.
import { SpiffeError } from '../../../runtime/spiffe/errors.ts';

export function refusalOf(act: () => unknown): { readonly code: string; readonly message: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof SpiffeError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('was not refused');
}
