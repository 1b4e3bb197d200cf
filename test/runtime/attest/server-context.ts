// What a server gives an attestor, for tests: a memory of agents, a clock that stands still, and a log that keeps its lines.
import { expect } from 'vitest';
import { AttestError } from '../../../runtime/attest/attest-error.ts';
import type { AttestCode, AttestRefusal } from '../../../runtime/attest/attest-error.ts';
import type { AttestContext, AttestLog, Challenge } from '../../../runtime/attest/attestor.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';

export const trustDomain = parseTrustDomain('example.org');
export const now = Date.parse('2026-11-24T12:00:00Z');
export const clock = (): number => now;
export const log: AttestLog = { debug: () => undefined, warn: () => undefined };
export const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
export const bytes = (value: string): Uint8Array => new TextEncoder().encode(value);

export function contextWith(attested: readonly string[] = [], clientAddress?: string): AttestContext {
  return {
    hasAttested: async (id) => attested.includes(id.toString()),
    signal: new AbortController().signal,
    ...(clientAddress === undefined ? {} : { clientAddress }),
  };
}

export const noChallenge: Challenge = () => Promise.reject(new Error('no challenge expected'));

/** The attempt must fail by that name, and the name's code. */
export async function expectRefusal(
  attempt: Promise<unknown>,
  code: AttestCode,
  refusal: AttestRefusal,
  message?: string | RegExp,
): Promise<void> {
  const error = await attempt.then(
    () => new Error('nothing was refused'),
    (cause: unknown) => cause,
  );
  expect(error).toBeInstanceOf(AttestError);
  const { code: foundCode, refusal: foundRefusal, message: foundMessage } = error as AttestError;
  expect({ code: foundCode, refusal: foundRefusal, message: foundMessage }).toMatchObject({ code, refusal });
  if (message !== undefined) expect(foundMessage).toMatch(message);
}
