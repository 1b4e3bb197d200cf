// Tokens that the lab can check without remembering them: a JSON value and its HMAC. They hold across the lab's restarts, and each kind
// (session token, access token, metadata token) is a domain of its own.
import { createHmac, timingSafeEqual } from 'node:crypto';

export interface Seals {
  seal(kind: string, value: object): string;
  /** The value, or `undefined` when the token is not one of this kind made by this lab. */
  open(kind: string, token: string): Readonly<Record<string, unknown>> | undefined;
  /** A secret that follows from the name alone. */
  derive(kind: string, name: string): Buffer;
}

export function createSeals(key: Buffer): Seals {
  const derive = (kind: string, name: string) => createHmac('sha256', key).update(`${kind}\0${name}`).digest();
  return {
    derive,
    seal(kind, value) {
      const payload = Buffer.from(JSON.stringify(value)).toString('base64url');
      return `${payload}.${derive(kind, payload).toString('base64url')}`;
    },
    open(kind, token) {
      const [payload, mac, ...rest] = token.split('.');
      if (payload === undefined || mac === undefined || rest.length > 0) return undefined;
      const expected = derive(kind, payload);
      const actual = Buffer.from(mac, 'base64url');
      if (actual.length !== expected.length || !timingSafeEqual(actual, expected)) return undefined;
      return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Record<string, unknown>;
    },
  };
}
