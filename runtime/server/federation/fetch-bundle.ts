// Fetches the bundle of another trust domain from its endpoint, once, and believes nothing of it that was not checked. What is kept of it, and
// whether it may replace what is kept already, is update-bundle.ts.
import type { TLSSocket } from 'node:tls';
import { parseCertificate } from '../../pki/certificate.ts';
import { parsePublicKey } from '../../pki/public-key.ts';
import { dialTls } from '../../rpc/tls-dial.ts';
import { serverVerifier } from '../../rpc/verify-peer.ts';
import { parseSpiffeBundle } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseEndpointUrl } from './endpoint-url.ts';
import type { EndpointUrl } from './endpoint-url.ts';
import { FederationError } from './errors.ts';
import { httpGet } from './http-get.ts';
import type { HttpAnswer } from './http-get.ts';
import type { FederationRelationship } from './relationship.ts';
import { createWebContext, dialWeb, systemRoots } from './web-tls.ts';

export interface FetchOptions {
  /** DER: the X.509 authorities that are kept of the trust domain of an https_spiffe endpoint's ID. */
  readonly roots: readonly Uint8Array[];
  readonly signal: AbortSignal;
}

/** Throws a FederationError. */
export type FetchBundle = (relationship: FederationRelationship, options: FetchOptions) => Promise<TrustBundle>;

export interface BundleFetcherOptions {
  readonly clock: () => number;
  /** PEM; what https_web endpoints are judged by. */
  readonly webRoots?: () => readonly string[];
  /** For the whole of it: names, connections, redirects, body. */
  readonly timeoutMs?: number;
}

const defaultTimeoutMs = 10_000;
const maxBytes = 1024 * 1024;
/** Of each kind. Comparing two bundles takes the square of it, and must not hold up the event loop. */
const maxAuthorities = 500;
const maxRedirects = 3;
const redirects: readonly number[] = [301, 302, 303, 307, 308];

export function createBundleFetcher(options: BundleFetcherOptions): FetchBundle {
  const { clock, webRoots = systemRoots, timeoutMs = defaultTimeoutMs } = options;
  const webContext = createWebContext(webRoots);

  const dial = async (url: EndpointUrl, { profile }: FederationRelationship, around: FetchOptions) => {
    const { host, port } = url;
    const { signal, roots } = around;
    if (profile.kind === 'https_web') return dialWeb({ host, port, secureContext: webContext(), signal });
    const verifyServer = serverVerifier({ expectedId: profile.endpointId, roots: () => roots, clock });
    return (await dialTls({ port }, { host, verifyServer, timeoutMs, signal })).socket;
  };

  const fetchDocument = async (relationship: FederationRelationship, around: FetchOptions): Promise<string> => {
    let { url } = relationship;
    for (let hop = 0; hop <= maxRedirects; hop += 1) {
      const answer = await get(await dial(url, relationship, around), url, around.signal);
      if (answer.status === 200) return answer.body;
      if (!redirects.includes(answer.status))
        throw new FederationError('STATUS', `unexpected status ${answer.status} fetching bundle`);
      url = redirectTarget(url, answer);
    }
    throw new FederationError('REDIRECT', `endpoint redirects more than ${maxRedirects} times`);
  };

  return async (relationship, { roots, signal }) => {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const text = await fetchDocument(relationship, { roots, signal: AbortSignal.any([signal, timeout]) });
      return parseFetched(relationship.trustDomain, text);
    } catch (cause) {
      if (cause instanceof FederationError) throw cause;
      if (signal.aborted) throw new FederationError('ENDED', 'the relationship has ended', { cause });
      const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : (cause as Error).message;
      throw new FederationError('ENDPOINT', `failed to fetch bundle: ${reason}`, { cause });
    }
  };
}

function get(socket: TLSSocket, { host, port, path }: EndpointUrl, signal: AbortSignal): Promise<HttpAnswer> {
  const name = host.includes(':') ? `[${host}]` : host;
  return httpGet(socket, { host: port === 443 ? name : `${name}:${port}`, path, maxBytes, signal });
}

/** Whoever may send us elsewhere could have us fetch another's bundle as theirs: only the path may change. */
function redirectTarget(from: EndpointUrl, { status, location }: HttpAnswer): EndpointUrl {
  if (location === undefined) throw new FederationError('REDIRECT', `endpoint redirects (${status}) to nowhere`);
  const target = parseLocation(location, from);
  if (target.host.toLowerCase() === from.host.toLowerCase() && target.port === from.port) return target;
  throw new FederationError('REDIRECT', `endpoint redirects to another host, ${target.host}:${target.port}`);
}

function parseLocation(location: string, from: EndpointUrl): EndpointUrl {
  try {
    return parseEndpointUrl(new URL(location, from.text).href);
  } catch (cause) {
    throw new FederationError('REDIRECT', `endpoint redirects to what is no endpoint: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** The document names no trust domain: whose bundle it is, the relationship says. */
function parseFetched(trustDomain: TrustDomain, text: string): TrustBundle {
  try {
    const bundle = parseSpiffeBundle(trustDomain, text);
    const { x509Authorities, jwtAuthorities } = bundle;
    if (Math.max(x509Authorities.length, jwtAuthorities.length) > maxAuthorities)
      throw new FederationError('TOO_LARGE', `bundle has more than ${maxAuthorities} authorities of a kind`);
    // What our own verifiers cannot read or would not use must not be kept: it would fail in every agent instead.
    for (const { asn1 } of x509Authorities) parseCertificate(asn1);
    for (const { publicKey } of jwtAuthorities) parsePublicKey(publicKey);
    return bundle;
  } catch (cause) {
    if (cause instanceof FederationError) throw cause;
    throw new FederationError('BUNDLE', `bundle of ${trustDomain.name} does not hold: ${(cause as Error).message}`, {
      cause,
    });
  }
}
