// The rules that a certificate must keep to stand at its place in a path, one refusal each.
import { subjectText } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { refuse } from './errors.ts';
import { extensionOids, purposeOids } from './oids.ts';
import { checkPublicKey } from './public-key.ts';

export type Usage = 'server' | 'client' | 'any';

export type Role = 'leaf' | 'intermediate' | 'root';

/** Critical extensions that the validator acts upon, or that demand nothing where no policy is asked for. */
const understood: ReadonlySet<string> = new Set(Object.values(extensionOids));

/** RFC 5280 §4.2.1.1 and §4.2.1.2: never critical. */
const keyIdentifiers: readonly string[] = [extensionOids.authorityKeyId, extensionOids.subjectKeyId];

const emptyNameLength = 2;

const purposeOf = { server: purposeOids.serverAuth, client: purposeOids.clientAuth } as const;

/** RFC 5280 §4.1 and §6.1.3 (a): what holds for every certificate of a path. */
export function checkCertificate(certificate: Certificate, role: Role, now: number): void {
  const name = `${role} "${subjectText(certificate)}"`;
  if (certificate.version !== 3) throw refuse('VERSION', `${name} has version ${certificate.version}, want 3`);
  const strange = certificate.extensions.find(({ critical, oid }) => critical && !understood.has(oid));
  if (strange !== undefined)
    throw refuse('CRITICAL_EXTENSION', `${name} has the critical extension ${strange.oid}, which is unknown`);
  const keyId = certificate.extensions.find(({ critical, oid }) => critical && keyIdentifiers.includes(oid));
  if (keyId !== undefined) throw refuse('CRITICAL_EXTENSION', `${name} has a key identifier that is critical`);
  if (now < certificate.notBefore)
    throw refuse('NOT_YET_VALID', `${name} is not valid before ${timeText(certificate.notBefore)}`);
  if (now > certificate.notAfter) throw refuse('EXPIRED', `${name} expired at ${timeText(certificate.notAfter)}`);
  if (role !== 'root') checkSerialNumber(certificate, name);
  checkPublicKey(certificate.spki);
}

/** RFC 5280 §6.1.4 (k) to (n): what holds for the issuer of the path's last certificate. */
export function checkIssuing(issuer: Certificate, role: Role, path: readonly Certificate[]): void {
  const name = `${role} "${subjectText(issuer)}"`;
  if (!issuer.isCa) throw refuse('NOT_A_CA', `${name} is not a CA`);
  if (issuer.subject.length === emptyNameLength) throw refuse('CA_SUBJECT', `${role} has an empty subject`);
  // X509-SVID §4.3 wants the extension on every signing certificate; of a root, which may come from elsewhere, only what it says counts.
  const mayLackKeyUsage = role === 'root' && !issuer.keyUsage.present;
  if (!issuer.keyUsage.certSign && !mayLackKeyUsage) throw refuse('CERT_SIGN', `${name} may not sign certificates`);
  const between = path.slice(1).filter((certificate) => !isSelfIssued(certificate)).length;
  if (issuer.pathLength !== undefined && between > issuer.pathLength) {
    throw refuse(
      'PATH_LENGTH',
      `${name} allows ${issuer.pathLength} intermediate certificates below it, found ${between}`,
    );
  }
}

/** Purposes narrow along the path, as in Go and the browsers; a certificate without the extension allows all. */
export function checkPurpose(certificate: Certificate, role: Role, usage: Usage): void {
  const { extendedKeyUsage } = certificate;
  if (usage === 'any' || extendedKeyUsage === undefined) return;
  if (extendedKeyUsage.includes(purposeOf[usage]) || extendedKeyUsage.includes(purposeOids.any)) return;
  throw refuse('EXTENDED_KEY_USAGE', `${role} "${subjectText(certificate)}" is not for a ${usage}`);
}

/** RFC 5280 §4.1.2.2. */
function checkSerialNumber({ serialNumber }: Certificate, name: string): void {
  const isNegative = (serialNumber[0] ?? 0) >= 0x80;
  const isZero = serialNumber.every((byte) => byte === 0);
  if (isNegative || isZero) throw refuse('SERIAL_NUMBER', `${name} has a serial number that is not positive`);
  if (serialNumber.length > 20)
    throw refuse('SERIAL_NUMBER', `${name} has a serial number of ${serialNumber.length} bytes`);
}

export function isSelfIssued({ issuer, subject }: Certificate): boolean {
  return Buffer.compare(issuer, subject) === 0;
}

function timeText(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
