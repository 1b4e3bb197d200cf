// What stands in the files, as spiffe-helper writes it: PEM for X.509, the token itself for a JWT-SVID, and bundles of JWT keys as JSON.
import { parseCertificate } from '../pki/certificate.ts';
import { certificatesToPem, encodePem } from '../pki/pem.ts';
import { encodeSpiffeBundle } from '../spiffe/bundle.ts';
import type { TrustBundle } from '../spiffe/bundle.ts';
import type { JwtSvid } from '../workloadapi/workload-api.ts';
import type { X509Context } from '../workloadapi/x509-context.ts';
import type { HelperConfig, X509Files } from './config.ts';
import type { OutputFile } from './files.ts';

/** The bundle first: who reads between two of them must not meet a certificate that nothing vouches for yet. */
export function x509Outputs(context: X509Context, names: X509Files, config: HelperConfig, now: number): OutputFile[] {
  const svid = hinted(context.svids, config.hint, 'X.509-SVID');
  const own = context.bundles.get(svid.id.trustDomain.name);
  if (own === undefined) throw new Error(`no bundle of trust domain ${svid.id.trustDomain.name}`);
  const others = [...context.bundles.values()].filter((bundle) => bundle !== own);
  const [leaf, ...intermediates] = svid.chain;
  if (leaf === undefined) throw new Error(`X.509-SVID ${svid.id.toString()} has no certificate`);
  const pem = (chain: readonly Uint8Array[]): string =>
    certificatesToPem(config.omitExpired ? chain.filter((der) => parseCertificate(der).notAfter > now) : chain);
  const bundle = [
    ...authorities(own),
    ...(config.addIntermediatesToBundle ? intermediates : []),
    ...(config.includeFederatedDomains ? others.flatMap(authorities) : []),
  ];
  const key = new Uint8Array(svid.privateKey.export({ type: 'pkcs8', format: 'der' }));
  const { certificate, key: keyMode } = config.modes;
  return [
    { name: names.bundle, content: pem(bundle), mode: certificate },
    { name: names.key, content: encodePem('PRIVATE KEY', key), mode: keyMode },
    { name: names.certificate, content: pem(config.addIntermediatesToBundle ? [leaf] : svid.chain), mode: certificate },
  ];
}

export function jwtOutput(svids: readonly JwtSvid[], name: string, { hint, modes }: HelperConfig): OutputFile {
  return { name, content: hinted(svids, hint, 'JWT-SVID').token, mode: modes.jwtSvid };
}

/** One member for each trust domain: its JWK set, in base64. */
export function jwtBundleOutput(
  bundles: ReadonlyMap<string, TrustBundle>,
  name: string,
  { modes }: HelperConfig,
): OutputFile {
  const members = [...bundles.values()]
    .sort((a, b) => (a.trustDomain.name < b.trustDomain.name ? -1 : 1))
    .map((bundle) => [bundle.trustDomain.name, Buffer.from(jwkSet(bundle)).toString('base64')]);
  return { name, content: JSON.stringify(Object.fromEntries(members)), mode: modes.jwtBundle };
}

/** Its keys serve one purpose, so they do not say which. */
function jwkSet({ trustDomain, jwtAuthorities }: TrustBundle): string {
  const document = encodeSpiffeBundle({
    trustDomain,
    jwtAuthorities,
    x509Authorities: [],
    refreshHintSeconds: 0,
    sequenceNumber: 0,
  });
  const { keys } = JSON.parse(document) as { readonly keys: readonly Readonly<Record<string, unknown>>[] };
  return JSON.stringify({ keys: keys.map((key) => ({ ...key, use: undefined })) });
}

function authorities({ x509Authorities }: TrustBundle): Uint8Array[] {
  return x509Authorities.map(({ asn1 }) => asn1);
}

function hinted<T extends { readonly hint: string }>(svids: readonly T[], hint: string, kind: string): T {
  const found = hint === '' ? svids[0] : svids.find((svid) => svid.hint === hint);
  if (found !== undefined) return found;
  throw new Error(hint === '' ? `there is no ${kind}` : `there is no ${kind} with the hint ${JSON.stringify(hint)}`);
}
