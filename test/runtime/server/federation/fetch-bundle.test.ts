import type { RequestListener } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import type { TlsCredentials } from '../../../../runtime/rpc/tls-credentials.ts';
import { parseEndpointUrl } from '../../../../runtime/server/federation/endpoint-url.ts';
import { createBundleFetcher } from '../../../../runtime/server/federation/fetch-bundle.ts';
import type { EndpointProfile } from '../../../../runtime/server/federation/relationship.ts';
import { emptyBundle, encodeSpiffeBundle } from '../../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../../runtime/spiffe/bundle.ts';
import { createTestCa } from '../../rpc/test-ca.ts';
import { serveHttps, webCredentials, webRoot } from './https-endpoint.ts';

const ca = createTestCa('other.test');
const foreign = createTestCa('foreign.test');
const endpoint = ca.issue('/endpoint');
const key = new Uint8Array(generateKeyPairSync('ec-p256').publicKey.export({ format: 'der', type: 'spki' }));
const bundle: TrustBundle = {
  ...emptyBundle(ca.trustDomain),
  x509Authorities: [{ asn1: ca.root.der }],
  jwtAuthorities: [{ keyId: 'k', publicKey: key, expiresAt: 0 }],
  refreshHintSeconds: 300,
  sequenceNumber: 7,
};
const text = encodeSpiffeBundle(bundle);
const web: EndpointProfile = { kind: 'https_web' };
const spiffe: EndpointProfile = { kind: 'https_spiffe', endpointId: endpoint.id };
const answer =
  (body: string, status = 200, headers: Record<string, string> = {}): RequestListener =>
  (_, response) => {
    response.writeHead(status, headers).end(body);
  };

interface Asking {
  readonly profile?: EndpointProfile;
  readonly roots?: readonly Uint8Array[];
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

function fetchFrom(url: string, { profile = web, roots = ca.roots(), timeoutMs, signal }: Asking = {}) {
  const limit = timeoutMs === undefined ? {} : { timeoutMs };
  const fetchBundle = createBundleFetcher({ clock: Date.now, webRoots: () => [webRoot.pem], ...limit });
  const relationship = { trustDomain: ca.trustDomain, url: parseEndpointUrl(url), profile };
  return fetchBundle(relationship, { roots, signal: signal ?? new AbortController().signal });
}

const served = (listener: RequestListener, credentials: TlsCredentials = webCredentials()) =>
  serveHttps(credentials, listener);

describe('a bundle is fetched', () => {
  test('from an endpoint with a certificate of the Web PKI', async () => {
    const asked: unknown[] = [];
    const url = await served((request, response) => {
      asked.push([request.method, request.url, request.headers.host, request.headers.accept]);
      answer(text)(request, response);
    });
    expect(await fetchFrom(`${url}/bundle?a=b`)).toEqual(bundle);
    expect(asked).toEqual([['GET', '/bundle?a=b', url.slice('https://'.length), 'application/json']]);
  });

  test('from an endpoint with an SVID, over an intermediate too', async () => {
    const below = ca.downstream().issue('/endpoint');
    for (const credentials of [endpoint, below])
      expect(await fetchFrom(await served(answer(text), credentials), { profile: spiffe })).toEqual(bundle);
  });

  test('after redirects on the same host', async () => {
    const url = await served((request, response) =>
      request.url === '/b' ? answer(text)(request, response) : answer('', 302, { location: '/b' })(request, response),
    );
    expect(await fetchFrom(url)).toEqual(bundle);
  });

  test('without the keys whose use is not known, or not said', async () => {
    const document = JSON.parse(text) as { keys: Record<string, unknown>[] };
    document.keys.push({ ...document.keys[0], use: 'ssh-svid' }, { kty: 'oct' });
    expect(await fetchFrom(await served(answer(JSON.stringify(document))))).toEqual(bundle);
  });

  test('where it is empty: the trust domain has withdrawn all of its keys', async () => {
    expect(await fetchFrom(await served(answer('{"keys": []}')))).toEqual(emptyBundle(ca.trustDomain));
  });
});

describe('an endpoint is refused', () => {
  const refused = (code: string, message: string | RegExp) => ({
    code,
    message: typeof message === 'string' ? message : (expect.stringMatching(message) as string),
  });

  test.each<[string, () => TlsCredentials, Asking, RegExp]>([
    ['a certificate of another name', () => webCredentials('127.0.0.2'), {}, /ERR_TLS_CERT_ALTNAME_INVALID$/],
    [
      'an SVID where the Web PKI is wanted',
      () => endpoint,
      {},
      /contains SPIFFE ID "spiffe:\/\/other\.test\/endpoint": maybe use https_spiffe instead of https_web: /,
    ],
    [
      'a certificate of the Web PKI where an SVID is wanted',
      webCredentials,
      { profile: spiffe },
      /0 URI names, want 1$/,
    ],
    [
      'a certificate of the Web PKI with the right ID in it',
      () => webCredentials('127.0.0.1', ['spiffe://other.test/endpoint']),
      { profile: spiffe },
      /^failed to fetch bundle: /,
    ],
    [
      'another ID of the trust domain',
      () => ca.issue('/workload'),
      { profile: spiffe },
      /server is spiffe:\/\/other\.test\/workload, want/,
    ],
    [
      'an ID of another trust domain',
      () => foreign.issue('/endpoint'),
      { profile: spiffe },
      /is not of trust domain other\.test$/,
    ],
    ['an SVID that has expired', () => ca.issue('/endpoint', -1), { profile: spiffe }, /expired/],
    [
      'an SVID of another root',
      () => createTestCa('other.test').issue('/endpoint'),
      { profile: spiffe },
      /^failed to fetch bundle: /,
    ],
    [
      'an SVID while nothing is trusted',
      () => endpoint,
      { profile: spiffe, roots: [] },
      /no X\.509 authority of other\.test/,
    ],
  ])('for %s, before anything is asked', async (_, credentials, asking, message) => {
    let asked = 0;
    const url = await served(() => (asked += 1), credentials());
    await expect(fetchFrom(url, asking)).rejects.toMatchObject(refused('ENDPOINT', message));
    expect(asked).toBe(0);
  });

  test.each([
    ['a status', answer('secret', 503), 'STATUS', 'unexpected status 503 fetching bundle'],
    ['a status that is not modified', answer('', 304), 'STATUS', 'unexpected status 304 fetching bundle'],
    [
      'a redirect to another host',
      answer('', 302, { location: 'https://localhost/' }),
      'REDIRECT',
      'endpoint redirects to another host, localhost:443',
    ],
    [
      'a redirect to another port',
      answer('', 307, { location: 'https://127.0.0.1:1/' }),
      'REDIRECT',
      'endpoint redirects to another host, 127.0.0.1:1',
    ],
    [
      'a redirect to plain HTTP',
      answer('', 301, { location: 'http://127.0.0.1/' }),
      'REDIRECT',
      'endpoint redirects to what is no endpoint: bundle endpoint URL must use the https scheme',
    ],
    ['a redirect to nowhere', answer('', 301), 'REDIRECT', 'endpoint redirects (301) to nowhere'],
    ['redirects without end', answer('', 302, { location: '/' }), 'REDIRECT', 'endpoint redirects more than 3 times'],
    [
      'a body that is too large',
      answer(' '.repeat(1024 * 1024 + 1)),
      'TOO_LARGE',
      'bundle is larger than 1048576 bytes',
    ],
    [
      'a body that is compressed',
      answer(text, 200, { 'content-encoding': 'gzip' }),
      'ENDPOINT',
      'endpoint sent the content encoding "gzip" unasked',
    ],
    [
      'a body that is no JSON',
      answer('<html>'),
      'BUNDLE',
      'bundle of other.test does not hold: malformed bundle: it is not JSON, or nested too deep',
    ],
    [
      'a list without keys',
      answer('{}'),
      'BUNDLE',
      'bundle of other.test does not hold: malformed bundle: "keys" is missing or is not a list',
    ],
    [
      'a certificate that cannot be read',
      answer(JSON.stringify({ keys: [{ use: 'x509-svid', x5c: ['AAAA'] }] })),
      'BUNDLE',
      'bundle of other.test does not hold: malformed bundle: key 0 has a certificate that cannot be read',
    ],
    [
      'more authorities than are compared in time',
      answer(
        encodeSpiffeBundle({
          ...bundle,
          jwtAuthorities: Array.from({ length: 501 }, (_, i) => ({ keyId: String(i), publicKey: key, expiresAt: 0 })),
        }),
      ),
      'TOO_LARGE',
      'bundle has more than 500 authorities of a kind',
    ],
  ])('for %s', async (_, listener, code, message) => {
    await expect(fetchFrom(await served(listener))).rejects.toMatchObject(refused(code, message));
  });

  test('for a weak key', async () => {
    const { publicKey } = generateKeyPairSync('rsa-2048');
    const jwk = publicKey.export({ format: 'jwk' });
    const weak = { ...jwk, n: Buffer.alloc(128, 0xff).toString('base64url'), use: 'jwt-svid', kid: 'weak' };
    const url = await served(answer(JSON.stringify({ keys: [weak] })));
    await expect(fetchFrom(url)).rejects.toMatchObject(refused('BUNDLE', /RSA key of 1024 bits/));
  });

  test('for bytes that are no text', async () => {
    const url = await served((_, response) => response.end(Buffer.from([0x7b, 0xff, 0x7d])));
    await expect(fetchFrom(url)).rejects.toMatchObject(refused('BUNDLE', 'bundle is not UTF-8'));
  });

  test('where nobody listens, or nobody shakes hands', async () => {
    await expect(fetchFrom('https://127.0.0.1:1')).rejects.toMatchObject(
      refused('ENDPOINT', 'failed to fetch bundle: connect ECONNREFUSED 127.0.0.1:1'),
    );
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void silent.close());
    const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    for (const profile of [web, spiffe])
      await expect(fetchFrom(url, { profile, timeoutMs: 200 })).rejects.toMatchObject(
        refused('ENDPOINT', 'failed to fetch bundle: no answer within 200 ms'),
      );
  });

  test.each<[string, RequestListener]>([
    ['never answers', () => undefined],
    ['answers without an end', (_, response) => response.write('{')],
    [
      'sends a little now and then',
      (_, response) => {
        const drip = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drip));
      },
    ],
  ])('when it %s', async (_, listener) => {
    await expect(fetchFrom(await served(listener), { timeoutMs: 300 })).rejects.toMatchObject(
      refused('ENDPOINT', 'failed to fetch bundle: no answer within 300 ms'),
    );
  });

  test('when the relationship ends meanwhile', async () => {
    const ending = new AbortController();
    const url = await served(() => ending.abort(new Error('deleted')));
    await expect(fetchFrom(url, { signal: ending.signal })).rejects.toMatchObject(
      refused('ENDED', 'the relationship has ended'),
    );
  });
});
