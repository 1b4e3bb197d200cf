// AWS Signature Version 4. Paths hold letters, digits, `-`, `_` and `/` alone, and queries one parameter, so nothing needs sorting or a second encoding.
import { createHash, createHmac } from 'node:crypto';
import type { Identity } from './credentials.ts';

export interface RequestToSign {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly body: string;
  /** Lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly service: string;
  readonly region: string;
  readonly keys: Identity;
  readonly now: Date;
}

/** The headers, with what the signature adds. */
export function signRequest(request: RequestToSign): Record<string, string> {
  const { method, body, headers, service, region, keys, now } = request;
  const { host, pathname, search } = new URL(request.url);
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '');
  const date = time.slice(0, 8);
  const all: Record<string, string> = {
    ...headers,
    'x-amz-date': time,
    ...(keys.sessionToken === undefined ? {} : { 'x-amz-security-token': keys.sessionToken }),
  };
  const signed = Object.entries({ ...all, host }).sort(([a], [b]) => (a < b ? -1 : 1));
  const names = signed.map(([name]) => name).join(';');
  const lines = signed.map(([name, value]) => `${name}:${value.trim()}`);
  const canonical = [method, pathname, search.slice(1), ...lines, '', names, sha256(body)].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${keys.secretAccessKey}`,
  );
  const signature = createHmac('sha256', key).update(toSign).digest('hex');
  const authorization = `AWS4-HMAC-SHA256 Credential=${keys.accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...all, authorization };
}

/** `name=value`, as the signature counts it (RFC 3986). */
export function queryOf(name: string, value: string): string {
  const code = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return `${name}=${encodeURIComponent(value).replace(/[!'()*]/g, code)}`;
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
