// The bundle by which the agent knows its server at first contact, from the place that the configuration names.
import { readFile } from 'node:fs/promises';
import { parseCertificateChain } from '../../pki/certificate.ts';
import { certificatesFromPem } from '../../pki/pem.ts';
import { parseSpiffeBundle } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { downloadBundle, downloadOverUnixSocket } from './download-bundle.ts';
import { fetchBundleOverWorkloadApi } from './workload-api-bundle.ts';
import type { ServerAddress } from './server-link.ts';

export type BundleSource =
  | { readonly kind: 'path'; readonly path: string; readonly format: BundleFormat }
  | { readonly kind: 'url'; readonly url: string; readonly format: BundleFormat }
  /** A helper on this machine, which is told what the bundle is for. */
  | { readonly kind: 'unixSocket'; readonly socketPath: string; readonly url: string; readonly format: BundleFormat }
  /** Another agent on this machine, of the same trust domain. */
  | { readonly kind: 'workloadApi'; readonly socketPath: string }
  | { readonly kind: 'insecure' };

export const bundleFormats = ['pem', 'spiffe'] as const;
export type BundleFormat = (typeof bundleFormats)[number];

export interface BootstrapOptions {
  readonly source: BundleSource;
  readonly trustDomain: TrustDomain;
  readonly server: ServerAddress;
  readonly attempt: BootstrapAttempt;
}

/** What a helper is told. */
export interface BootstrapAttempt {
  readonly mode: 'bootstrap' | 'rebootstrap';
  readonly number: number;
  /** Of the first attempt, epoch ms. */
  readonly startedAt: number;
}

/** DER of the X.509 authorities; none for an insecure bootstrap. */
export async function loadBootstrapBundle(options: BootstrapOptions): Promise<Uint8Array[]> {
  const { source, trustDomain } = options;
  if (source.kind === 'insecure') return [];
  const authorities =
    source.kind === 'workloadApi'
      ? parseCertificateChain(await fetchBundleOverWorkloadApi(source.socketPath, trustDomain)).map(({ der }) => der)
      : parseBundleText(await readText(source, options), source.format, trustDomain);
  if (authorities.length === 0) throw new Error(`no certificates in trust bundle ${placeOf(source)}`);
  return authorities;
}

type TextSource = Extract<BundleSource, { readonly format: BundleFormat }>;

function readText(source: TextSource, { trustDomain, server, attempt }: BootstrapOptions): Promise<string> {
  if (source.kind === 'path') return readFile(source.path, 'utf8');
  if (source.kind === 'url') return downloadBundle(source.url);
  const url = new URL(source.url);
  const told = {
    'spire-attest-mode': attempt.mode,
    'spire-connection-attempts': String(attempt.number),
    'spire-attest-start-time': toSeconds(attempt.startedAt),
    'spire-server-address': server.host,
    'spire-server-port': String(server.port),
    'spiffe-trust-domain': trustDomain.name,
  };
  for (const [name, value] of Object.entries(told)) url.searchParams.set(name, value);
  return downloadOverUnixSocket(source.socketPath, url);
}

/** RFC 3339, as SPIRE writes it. */
export function toSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}

function parseBundleText(text: string, format: BundleFormat, trustDomain: TrustDomain): Uint8Array[] {
  return format === 'pem'
    ? certificatesFromPem(text)
    : parseSpiffeBundle(trustDomain, text).x509Authorities.map(({ asn1 }) => asn1);
}

function placeOf(source: Exclude<BundleSource, { readonly kind: 'insecure' }>): string {
  if (source.kind === 'path') return source.path;
  return source.kind === 'url' ? source.url : source.socketPath;
}
