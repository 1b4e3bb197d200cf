// Reads what an agent sent as evidence or as an answer: bounded, UTF-8, JSON of a known shape. Fields that we do not know are left aside, as SPIRE does.
import * as z from 'zod';
import { checkJsonDepth } from '../spiffe/json-depth.ts';
import { invalidEvidence } from './attest-error.ts';
import type { AttestRefusal } from './attest-error.ts';

/** Ours; SPIRE has only gRPC's 4 MiB. */
const maxPayloadBytes = 64 * 1024;

export function checkPayload(payload: Uint8Array): void {
  if (payload.length === 0) throw invalidEvidence('PAYLOAD_EMPTY', 'missing attestation payload');
  if (payload.length > maxPayloadBytes) {
    throw invalidEvidence(
      'PAYLOAD_TOO_LARGE',
      `attestation payload has ${payload.length} bytes, want ${maxPayloadBytes} at most`,
    );
  }
}

/** `what` names the thing in messages; the text itself, which may be evidence, never appears in one. */
export function parseJson<T extends z.ZodType>(
  bytes: Uint8Array,
  schema: T,
  refusal: AttestRefusal,
  what: string,
): z.output<T> {
  const result = schema.safeParse(jsonOf(bytes, refusal, what));
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw invalidEvidence(refusal, `${what} is malformed: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function jsonOf(bytes: Uint8Array, refusal: AttestRefusal, what: string): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    checkJsonDepth(text);
    return JSON.parse(text);
  } catch {
    throw invalidEvidence(refusal, `${what} is not JSON`); // the parser's own message quotes the text
  }
}

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** Standard base64 with padding; line breaks may stand anywhere, nothing else may. `undefined` where it is something else. */
export function decodeBase64(text: string): Uint8Array | undefined {
  const joined = text.replace(/[\r\n]/g, '');
  if (joined.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(joined)) return undefined;
  return new Uint8Array(Buffer.from(joined, 'base64'));
}

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

/** A JSON string that holds bytes. */
export const base64Bytes = z.string().transform((text, context): Uint8Array => {
  const bytes = decodeBase64(text);
  if (bytes !== undefined) return bytes;
  context.addIssue({ code: 'custom', message: 'not base64' });
  return z.NEVER;
});
