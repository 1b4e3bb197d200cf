// What an X.509 answer of the Workload API says, checked: chains that parse, keys that fit them, bundles of known trust domains.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { X509BundlesResponse, X509SVID, X509SVIDResponse } from '../../proto/gen/spiffe/workload/workload.ts';
import { parseCertificateChain } from '../pki/certificate.ts';
import type { Certificate } from '../pki/certificate.ts';
import { emptyBundle } from '../spiffe/bundle.ts';
import type { TrustBundle } from '../spiffe/bundle.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../spiffe/trust-domain.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { WorkloadError } from './errors.ts';

export interface X509Svid {
  readonly id: SpiffeId;
  /** DER, leaf first, without the root. */
  readonly chain: readonly Uint8Array[];
  readonly privateKey: KeyObject;
  /** Empty where the operator gave none. */
  readonly hint: string;
  /** Epoch ms. */
  readonly expiresAt: number;
}

/** By name of trust domain. */
export type X509Bundles = ReadonlyMap<string, TrustBundle>;

export interface X509Context {
  /** Never empty; the first is the default. */
  readonly svids: readonly [X509Svid, ...X509Svid[]];
  /** The SVIDs' own trust domains and the federated ones. */
  readonly bundles: X509Bundles;
}

/** Throws WorkloadError where anything in the answer is not what it must be: half an answer is used by nobody. */
export function parseX509Context(response: X509SVIDResponse): X509Context {
  return translate(() => {
    const [first, ...others] = response.svids.map(parseSvid);
    if (first === undefined) throw new WorkloadError('NO_SVID', 'the Workload API gave no X.509-SVID');
    const bundles = parseBundles(response.federatedBundles);
    for (const { spiffeId, bundle } of response.svids) {
      const { trustDomain } = parseSpiffeId(spiffeId);
      bundles.set(trustDomain.name, parseBundle(trustDomain, bundle));
    }
    return { svids: [first, ...others], bundles };
  });
}

/** The bundles of every trust domain that the workload may know. */
export function parseX509Bundles(response: X509BundlesResponse): X509Bundles {
  return translate(() => parseBundles(response.bundles));
}

function parseSvid({ spiffeId, x509Svid, x509SvidKey, hint }: X509SVID): X509Svid {
  const id = parseSpiffeId(spiffeId);
  const [leaf, ...intermediates] = parseCertificateChain(x509Svid);
  if (leaf === undefined) throw new WorkloadError('RESPONSE', `X.509-SVID of ${spiffeId} has no certificate`);
  checkLeaf(leaf, id);
  const privateKey = createPrivateKey({ key: Buffer.from(x509SvidKey), format: 'der', type: 'pkcs8' });
  if (!createPublicKey(privateKey).equals(leaf.publicKey)) {
    throw new WorkloadError('RESPONSE', `private key of ${spiffeId} is not that of its certificate`);
  }
  return { id, chain: [leaf, ...intermediates].map(({ der }) => der), privateKey, hint, expiresAt: leaf.notAfter };
}

function checkLeaf({ uris }: Certificate, id: SpiffeId): void {
  if (uris.length === 1 && uris[0] === id.toString()) return;
  throw new WorkloadError('RESPONSE', `certificate of ${id.toString()} names ${uris.join(', ')}`);
}

function parseBundles(bundles: Readonly<Record<string, Uint8Array>>): Map<string, TrustBundle> {
  const parsed = Object.entries(bundles).map(([name, der]): [string, TrustBundle] => {
    const trustDomain = parseTrustDomain(name);
    return [trustDomain.name, parseBundle(trustDomain, der)];
  });
  return new Map(parsed);
}

function parseBundle(trustDomain: TrustDomain, der: Uint8Array): TrustBundle {
  const x509Authorities = parseCertificateChain(der).map((certificate) => ({ asn1: certificate.der }));
  return { ...emptyBundle(trustDomain), x509Authorities };
}

function translate<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (error instanceof WorkloadError) throw error;
    throw new WorkloadError('RESPONSE', `the Workload API's answer cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
