// What a call refused with, for tests that compare the code and read the message.
import { expect } from 'vitest';
import { PkiError } from '../../../runtime/pki/errors.ts';
import type { PkiErrorCode } from '../../../runtime/pki/errors.ts';

export function refusalOf(call: () => unknown): PkiError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(PkiError);
    return error as PkiError;
  }
  throw new Error('nothing was refused');
}

export function expectRefusal(call: () => unknown, code: PkiErrorCode, message?: string | RegExp): void {
  const refusal = refusalOf(call);
  expect(`${refusal.code}: ${refusal.message}`).toMatch(new RegExp(`^${code}: `));
  if (message !== undefined) expect(refusal.message).toMatch(message);
}
