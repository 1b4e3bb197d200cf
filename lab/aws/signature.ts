// Signature Version 4, the receiving side: recomputes the signature of a request and refuses it when anything does not agree.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { LabRequest } from '../http.ts';
import { header } from '../http.ts';
import { AwsError } from './errors.ts';

export interface SignedRequest {
  readonly accessKeyId: string;
  readonly region: string;
  readonly service: string;
  readonly sessionToken: string | undefined;
  /** Throws unless the request was signed with this secret. */
  verify(secretAccessKey: string): void;
}

const allowedSkew = 5 * 60_000;

export function readSignature(request: LabRequest, now: number): SignedRequest {
  const authorization = header(request, 'authorization') ?? '';
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/,\s]+)\/(\d{8})\/([^/,\s]+)\/([^/,\s]+)\/aws4_request,\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-f]{64})$/.exec(
      authorization,
    );
  if (match === null)
    throw new AwsError('MissingAuthenticationToken', 'the request is not signed with AWS4-HMAC-SHA256', 403);
  const [, accessKeyId = '', date = '', region = '', service = '', signedHeaders = '', signature = ''] = match;
  const time = header(request, 'x-amz-date') ?? '';
  if (!time.startsWith(date))
    throw new AwsError('SignatureDoesNotMatch', 'the credential scope has another date than the request', 403);
  if (Math.abs(parseTime(time) - now) > allowedSkew)
    throw new AwsError('RequestExpired', `the request was signed at ${time}`, 403);
  const names = signedHeaders.split(';');
  for (const name of [
    'host',
    'x-amz-date',
    ...(header(request, 'x-amz-security-token') === undefined ? [] : ['x-amz-security-token']),
  ]) {
    if (!names.includes(name)) throw new AwsError('SignatureDoesNotMatch', `header ${name} is not signed`, 403);
  }
  const scope = `${date}/${region}/${service}/aws4_request`;
  const toSign = ['AWS4-HMAC-SHA256', time, scope, sha256(canonicalRequest(request, names))].join('\n');
  return {
    accessKeyId,
    region,
    service,
    sessionToken: header(request, 'x-amz-security-token'),
    verify(secretAccessKey) {
      const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(
        (previous, part) => hmac(previous, part),
        `AWS4${secretAccessKey}`,
      );
      if (!timingSafeEqual(hmac(key, toSign), Buffer.from(signature, 'hex'))) {
        throw new AwsError('SignatureDoesNotMatch', 'the signature of the request is not that of its credentials', 403);
      }
    },
  };
}

function canonicalRequest(request: LabRequest, names: readonly string[]): string {
  const query = [...request.query.entries()]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const headers = names.map((name) => `${name}:${(header(request, name) ?? '').trim().replace(/ +/g, ' ')}\n`).join('');
  return [request.method, request.path, query, headers, names.join(';'), sha256(request.body)].join('\n');
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** `20261124T021500Z`. */
function parseTime(text: string): number {
  const match = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (match === null) throw new AwsError('IncompleteSignature', 'x-amz-date is missing or not a date', 403);
  const [, year, month, day, hour, minute, second] = match.map(Number);
  return Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second);
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: string | Buffer, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}
