// The bundle by which the agent knows its server at first contact, from the place that the configuration names.
import { readFile } from 'node:fs/promises';
import { certificatesFromPem } from '../../pki/pem.ts';
import { parseSpiffeBundle } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';

export type BundleSource =
  | { readonly kind: 'path'; readonly path: string; readonly format: BundleFormat }
  | { readonly kind: 'url'; readonly url: string; readonly format: BundleFormat }
  | { readonly kind: 'insecure' };

export const bundleFormats = ['pem', 'spiffe'] as const;
export type BundleFormat = (typeof bundleFormats)[number];

const downloadMs = 10_000;
const longestBundle = 1024 * 1024;

/** DER of the X.509 authorities; none for an insecure bootstrap. */
export async function loadBootstrapBundle(source: BundleSource, trustDomain: TrustDomain): Promise<Uint8Array[]> {
  if (source.kind === 'insecure') return [];
  const place = source.kind === 'path' ? source.path : source.url;
  const text = source.kind === 'path' ? await readFile(place, 'utf8') : await download(place);
  const authorities =
    source.format === 'pem'
      ? certificatesFromPem(text)
      : parseSpiffeBundle(trustDomain, text).x509Authorities.map(({ asn1 }) => asn1);
  if (authorities.length === 0) throw new Error(`no certificates in trust bundle ${place}`);
  return authorities;
}

async function download(url: string): Promise<string> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(downloadMs) });
  if (!response.ok) throw new Error(`trust bundle ${url} answers ${response.status}`);
  const text = await response.text();
  if (text.length > longestBundle)
    throw new Error(`trust bundle ${url} has ${text.length} characters, at most ${longestBundle} are taken`);
  return text;
}
