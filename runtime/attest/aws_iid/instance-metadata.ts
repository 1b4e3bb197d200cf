// EC2's instance metadata service, version 2 only: a session token first, then reads with it. Version 1 is never spoken, because any request that a
// program can be talked into making would do there.
import { readBounded } from '../bounded-body.ts';

export interface InstanceMetadata {
  /** The text at a path below `/latest/`; undefined where the service has no such thing. */
  find(path: string): Promise<string | undefined>;
  /** The same for what must be there. */
  get(path: string): Promise<string>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

const tokenSeconds = 21_600;
const maxAnswerBytes = 64 * 1024;
const timeoutMs = 10_000;

export function createInstanceMetadata({
  endpoint,
  fetch,
}: {
  endpoint: string;
  fetch: typeof globalThis.fetch;
}): InstanceMetadata {
  const base = endpoint.replace(/\/$/, '');

  const request = (path: string, init: RequestInit): Promise<Response> =>
    fetch(`${base}/latest/${path}`, { ...init, redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });

  async function createToken(): Promise<string> {
    const headers = { 'X-aws-ec2-metadata-token-ttl-seconds': String(tokenSeconds) };
    const response = await request('api/token', { method: 'PUT', headers });
    if (!response.ok) throw new Error(`instance metadata service answered ${response.status} to a request for a token`);
    return readBounded(response, maxAnswerBytes);
  }

  /** A token for each read: reads are few, and a kept token would have to be renewed. */
  async function find(path: string): Promise<string | undefined> {
    const response = await request(path, { headers: { 'X-aws-ec2-metadata-token': await createToken() } });
    if (response.status === 404) return undefined;
    if (!response.ok) throw new Error(`instance metadata service answered ${response.status} for ${path}`);
    return readBounded(response, maxAnswerBytes);
  }

  return {
    find,
    async get(path) {
      const text = await find(path);
      if (text === undefined) throw new Error(`instance metadata service has no ${path}`);
      return text;
    },
  };
}

/** Where the service is when the configuration does not say: by the variables of the AWS SDKs. */
export function metadataEndpoint(env: Environment): string {
  const given = env['AWS_EC2_METADATA_SERVICE_ENDPOINT'];
  if (given !== undefined) return given;
  const ipv6 = env['AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE']?.toLowerCase() === 'ipv6';
  return ipv6 ? 'http://[fd00:ec2::254]' : 'http://169.254.169.254';
}
