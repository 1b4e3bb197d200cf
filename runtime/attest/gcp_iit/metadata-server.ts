// The GCE metadata server, as far as identity goes. It answers only requests that carry its header, so that no browser or proxy asks by accident.
import { readBounded } from '../bounded-body.ts';

export interface MetadataServer {
  /** The text at a path below `/computeMetadata/v1/`. */
  get(path: string, query?: Readonly<Record<string, string>>): Promise<string>;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export const defaultMetadataHost = 'metadata.google.internal';
const maxAnswerBytes = 64 * 1024;
const timeoutMs = 10_000;

/** `host` is `name[:port]`, as in the Google SDKs' GCE_METADATA_HOST. */
export function createMetadataServer({
  host,
  fetch,
}: {
  host: string;
  fetch: typeof globalThis.fetch;
}): MetadataServer {
  return {
    async get(path, query = {}) {
      const parameters = new URLSearchParams(query).toString();
      const url = `http://${host}/computeMetadata/v1/${path}${parameters === '' ? '' : `?${parameters}`}`;
      const response = await fetch(url, {
        headers: { 'Metadata-Flavor': 'Google' },
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutMs),
      });
      if (!response.ok) throw new Error(`metadata server answered ${response.status} for ${path}`);
      if (response.headers.get('metadata-flavor') !== 'Google')
        throw new Error(`${host} is not a metadata server: its header is missing`);
      return readBounded(response, maxAnswerBytes);
    },
  };
}

/** Where the metadata server is when the configuration does not say. */
export function metadataHost(env: Environment): string {
  return env['GCE_METADATA_HOST'] ?? defaultMetadataHost;
}

/** A token that says which instance asks, and for whom it is meant. */
export function fetchIdentityToken(server: MetadataServer, audience: string, account = 'default'): Promise<string> {
  return server.get(`instance/service-accounts/${encodeURIComponent(account)}/identity`, { audience, format: 'full' });
}
