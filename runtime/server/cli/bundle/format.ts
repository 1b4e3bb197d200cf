// A bundle as people read it, in PEM or as SPIFFE's document, and the way back from text.
import { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import { certificatesFromPem, certificatesToPem } from '../../../pki/pem.ts';
import { parseCertificate } from '../../../pki/certificate.ts';
import { encodeSpiffeBundle, parseSpiffeBundle } from '../../../spiffe/bundle-document.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import { CommandError } from '../server-command.ts';

export type BundleFormat = 'pem' | 'spiffe';

export function formatFlag(help: string) {
  return { kind: 'string', default: 'pem', help: `${help} Either "pem" or "spiffe".` } as const;
}

export function parseFormat(text: string): BundleFormat {
  const format = text === '' ? 'pem' : text.toLowerCase();
  if (format === 'pem' || format === 'spiffe') return format;
  throw new CommandError(`invalid format: ${JSON.stringify(format)}`);
}

export function formatBundle(bundle: Bundle, format: BundleFormat): string {
  if (format === 'pem') return certificatesToPem(bundle.x509Authorities.map(({ asn1 }) => asn1));
  const { trustDomain, x509Authorities, jwtAuthorities, refreshHint, sequenceNumber } = bundle;
  const document = encodeSpiffeBundle({
    trustDomain: parseTrustDomain(trustDomain),
    x509Authorities,
    jwtAuthorities,
    refreshHintSeconds: refreshHint,
    sequenceNumber,
  });
  return `${document}\n`;
}

/** In PEM the trust domain goes to the server as it was written; whether it will do is the server's decision. */
export function parseBundle(text: string, format: BundleFormat, id: string): Bundle {
  if (format === 'pem') {
    const certificates = explain('unable to parse bundle data', () => certificatesFromPem(text));
    explain('unable to parse bundle data', () => certificates.forEach((der) => parseCertificate(der)));
    return Bundle.create({
      trustDomain: id,
      x509Authorities: certificates.map((asn1) => ({ asn1, tainted: false })),
    });
  }
  const trustDomain = parseTrustDomain(id);
  const bundle = explain('unable to parse to spiffe bundle', () => parseSpiffeBundle(trustDomain, text));
  return Bundle.create({
    trustDomain: trustDomain.name,
    x509Authorities: bundle.x509Authorities.map(({ asn1 }) => ({ asn1, tainted: false })),
    jwtAuthorities: bundle.jwtAuthorities.map(({ keyId, publicKey, expiresAt }) => ({
      keyId,
      publicKey,
      expiresAt,
      tainted: false,
    })),
    refreshHint: bundle.refreshHintSeconds,
    sequenceNumber: bundle.sequenceNumber,
  });
}

function explain<T>(what: string, act: () => T): T {
  try {
    return act();
  } catch (cause) {
    throw new CommandError(what, { cause });
  }
}
