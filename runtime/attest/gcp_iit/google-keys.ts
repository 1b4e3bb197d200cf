// Google's public keys by key ID, read from its certificates endpoint and kept until that says. An unknown key asks once more, but not for every forged token.
import { X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import * as z from 'zod';
import { AttestError, invalidEvidence } from '../attest-error.ts';
import { readBounded } from '../bounded-body.ts';
import type { FindKey } from './identity-token.ts';

export interface GoogleKeysOptions {
  readonly url: string;
  readonly fetch: typeof globalThis.fetch;
  readonly clock: () => number;
}

interface Kept {
  readonly keys: ReadonlyMap<string, KeyObject>;
  readonly readAt: number;
  readonly until: number;
}

const maxAnswerBytes = 256 * 1024;
const timeoutMs = 10_000;
/** Between two reads that only an unknown key caused. */
const retryAfterMs = 10_000;
/** However long the endpoint says. */
const longestMs = 24 * 60 * 60 * 1000;
const answerSchema = z.record(z.string(), z.string());

export function createGoogleKeys(options: GoogleKeysOptions): FindKey {
  const { clock } = options;
  let kept: Kept | undefined;
  let reading: Promise<Kept> | undefined;

  /** One request, however many ask. */
  function read(): Promise<Kept> {
    reading ??= loadKeys(options).finally(() => {
      reading = undefined;
    });
    return reading;
  }

  return async (keyId) => {
    const now = clock();
    if (kept === undefined || now >= kept.until || (!kept.keys.has(keyId) && now - kept.readAt >= retryAfterMs))
      kept = await read();
    const key = kept.keys.get(keyId);
    if (key === undefined)
      throw invalidEvidence('TOKEN_KEY_UNKNOWN', 'failed to validate the identity token signature: unknown key');
    return key;
  };
}

async function loadKeys({ url, fetch, clock }: GoogleKeysOptions): Promise<Kept> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    if (!response.ok) throw new Error(`status ${response.status}`);
    const answer = answerSchema.parse(JSON.parse(await readBounded(response, maxAnswerBytes)));
    const keys = new Map(Object.entries(answer).map(([keyId, pem]) => [keyId, new X509Certificate(pem).publicKey]));
    const readAt = clock();
    const expires = Date.parse(response.headers.get('expires') ?? '');
    return { keys, readAt, until: Number.isNaN(expires) ? readAt : Math.min(expires, readAt + longestMs) };
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AttestError(
      'UNAVAILABLE',
      'KEYS_UNAVAILABLE',
      `unable to read the identity token keys at ${url}: ${reason}`,
      { cause },
    );
  }
}
