// Lint before sign: the bytes about to be signed are read back and held against what was meant, so that an encoding fault never gets a signature.
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import type { TbsCertificate } from './certificate.ts';
import { refuse } from './errors.ts';
import type { PkiError } from './errors.ts';
import { keyUsageNames } from './key-usage.ts';
import type { KeyUsage, KeyUsageName } from './key-usage.ts';
import type { Profile } from './profiles.ts';

/** What the certificate is meant to say. */
export interface Intent {
  readonly profile: Profile;
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly spki: Uint8Array;
  readonly uri: string;
  readonly dnsNames: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
  readonly subjectKeyId: Uint8Array;
  readonly authorityKeyId: Uint8Array | undefined;
}

const usesOfCa: readonly KeyUsageName[] = ['certSign', 'crlSign', 'digitalSignature'];

export function lintTbs(tbs: TbsCertificate, intent: Intent): void {
  const { profile } = intent;
  const fault = (what: string): PkiError => refuse('PROFILE', `${profile.name} would have ${what}`);
  if (tbs.version !== 3) throw fault(`version ${tbs.version}`);
  checkSerialNumber(tbs.serialNumber, fault);
  if (!sameBytes(tbs.issuer, intent.issuer)) throw fault('another issuer');
  if (!sameBytes(tbs.subject, intent.subject)) throw fault('another subject');
  if (profile.isCa && tbs.subject.length === 2) throw fault('an empty subject');
  if (!sameBytes(tbs.spki, intent.spki)) throw fault('another public key');
  if (tbs.notBefore !== wholeSecond(intent.notBefore)) throw fault('another start');
  if (tbs.notAfter !== wholeSecond(intent.notAfter)) throw fault('another end');
  if (tbs.notBefore >= tbs.notAfter) throw fault('an end that is not after its start');
  if (tbs.isCa !== profile.isCa) throw fault(`CA flag ${tbs.isCa}`);
  if (tbs.pathLength !== undefined) throw fault('a path length');
  if (!tbs.keyUsage.critical) throw fault('a key usage that is not critical');
  const uses = usesIn(tbs.keyUsage);
  if (!sameList(uses, profile.keyUsage)) throw fault(`key usage ${uses.join(', ')}`);
  if (!sameList(tbs.extendedKeyUsage ?? [], profile.extendedKeyUsage ?? [])) throw fault('other extended key usages');
  if (!sameList(tbs.uris, [intent.uri])) throw fault(`URI names ${tbs.uris.join(', ')}`);
  if (!sameList(tbs.dnsNames, intent.dnsNames)) throw fault(`DNS names ${tbs.dnsNames.join(', ')}`);
  if (tbs.names.emails.length + tbs.names.ipAddresses.length + tbs.names.directoryNames.length > 0) {
    throw fault('names other than URI and DNS');
  }
  if (!sameBytes(tbs.subjectKeyId, intent.subjectKeyId)) throw fault('another subject key identifier');
  if (!sameBytes(tbs.authorityKeyId, intent.authorityKeyId)) throw fault('another authority key identifier');
}

/** What SPIRE demands of a CA certificate before it signs with it, an upstream authority's answer included. */
export function checkX509Ca(certificate: TbsCertificate, trustDomain: TrustDomain): void {
  if (!certificate.isCa) throw refuse('NOT_A_CA', 'CA certificate lacks the CA flag');
  if (!certificate.keyUsage.certSign) throw refuse('CERT_SIGN', 'CA certificate may not sign certificates');
  const strange = usesIn(certificate.keyUsage).filter((use) => !usesOfCa.includes(use));
  if (strange.length > 0) throw refuse('PROFILE', `CA certificate has key usage ${strange.join(', ')}`);
  const { uris } = certificate;
  if (uris.length > 1) throw refuse('PROFILE', `CA certificate has ${uris.length} URI names, want at most 1`);
  if (uris.some((uri) => uri !== trustDomain.idString())) {
    throw refuse('TRUST_DOMAIN', `CA certificate is of ${uris.join(', ')}, want ${trustDomain.idString()}`);
  }
}

function usesIn(usage: KeyUsage): KeyUsageName[] {
  return keyUsageNames.filter((name) => usage[name]);
}

/** RFC 5280 §4.1.2.2, and no more than the 128 bits that we draw. */
function checkSerialNumber(encoded: Uint8Array, fault: (what: string) => PkiError): void {
  if ((encoded[0] ?? 0) >= 0x80) throw fault('a negative serial number');
  if (encoded.every((byte) => byte === 0)) throw fault('serial number 0');
  if (encoded.length > 17) throw fault(`a serial number of ${encoded.length} bytes`);
}

function wholeSecond(epochMs: number): number {
  return Math.floor(epochMs / 1000) * 1000;
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return Buffer.compare(a, b) === 0;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}
