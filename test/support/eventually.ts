// Waits until a check holds: long, because a machine may be busy with other tests, and no longer than it takes.
import { vi } from 'vitest';

export function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(check, { timeout: 20_000 });
}
