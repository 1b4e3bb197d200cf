// Issues what a SPIRE server issues: its own CA, CAs for downstream servers, and X509-SVIDs, with SPIRE's profiles and subjects.
// Step 1 serial number, 2 build, 3 lint, 4 sign, 5 of a CA check the result. Records of what was issued are the caller's.
import type { KeyObject } from 'node:crypto';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { certificateOf, parseTbsCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { decodeName, encodeName } from './distinguished-name.ts';
import type { NameFields } from './distinguished-name.ts';
import { contextConstructed, tags } from './der/tags.ts';
import { encodeTime } from './der/time.ts';
import { element, integer, sequence, smallInteger, tree } from './der/writer.ts';
import { refuse } from './errors.ts';
import { encodeAuthorityKeyId, encodeExtension } from './extensions.ts';
import { encodeGeneralNames } from './general-names.ts';
import { subjectKeyIdOf } from './key-id.ts';
import { checkX509Ca, lintTbs } from './lint.ts';
import type { Intent } from './lint.ts';
import { extensionOids } from './oids.ts';
import { caProfile, svidProfile } from './profiles.ts';
import type { Profile } from './profiles.ts';
import { encodePublicKey } from './public-key.ts';
import { createSerialNumber, serialNumberText } from './serial-number.ts';
import { encodeSignatureAlgorithm, verifySignature } from './signature-algorithm.ts';
import type { Signer } from './signer.ts';

/** How far before now SPIRE lets certificates begin, for clocks that are behind. */
export const notBeforeCushionMs = 10_000;

export interface Issuer {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

/** Epoch milliseconds; certificates keep whole seconds. */
export interface Validity {
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface SelfSignedCaInput extends Validity {
  readonly signer: Signer;
  /** The serial number is added, as SPIRE does. */
  readonly subject: NameFields;
  /** The trust domain's ID. */
  readonly spiffeId: SpiffeId;
  /** Magnitude, big endian; random where it is left out. */
  readonly serialNumber?: Uint8Array;
}

export interface DownstreamCaInput extends Validity {
  readonly issuer: Issuer;
  readonly publicKey: KeyObject;
  /** The trust domain's ID. */
  readonly spiffeId: SpiffeId;
  /** Instead of the issuer's subject with `OU=DOWNSTREAM-<chain length>`. */
  readonly subject?: NameFields;
  /** How many certificates the issuer's chain has; 1, a root, where it is left out. */
  readonly issuerChainLength?: number;
  /** Magnitude, big endian; random where it is left out. */
  readonly serialNumber?: Uint8Array;
}

export interface X509SvidInput extends Validity {
  readonly issuer: Issuer;
  readonly publicKey: KeyObject;
  readonly spiffeId: SpiffeId;
  /** The first one becomes the common name. */
  readonly dnsNames?: readonly string[];
  /** Fields, or a Name from a request; `C=US,O=SPIRE` where it is left out or empty. */
  readonly subject?: NameFields | Uint8Array;
}

const svidSubject: NameFields = { country: 'US', organization: 'SPIRE' };
const encodedSvidSubject = encodeName(svidSubject);

export function issueSelfSignedCa(input: SelfSignedCaInput): Certificate {
  const { signer, spiffeId, serialNumber = createSerialNumber() } = input;
  checkTrustDomainId(spiffeId);
  const subject = encodeName({ ...input.subject, serialNumber: serialNumberText(serialNumber) });
  const spki = encodePublicKey(signer.publicKey);
  return issue(signer, serialNumber, {
    ...input,
    profile: caProfile,
    issuer: subject,
    subject,
    spki,
    uri: spiffeId.toString(),
    dnsNames: [],
    subjectKeyId: subjectKeyIdOf(spki),
    authorityKeyId: undefined,
  });
}

export function issueDownstreamCa(input: DownstreamCaInput): Certificate {
  const { issuer, spiffeId, issuerChainLength = 1 } = input;
  checkTrustDomainId(spiffeId);
  const subject = input.subject ?? {
    ...decodeName(issuer.certificate.subject),
    organizationalUnit: `DOWNSTREAM-${issuerChainLength}`,
  };
  return issueUnder(caProfile, { ...input, dnsNames: [], subject: encodeName(subject) });
}

export function issueX509Svid(input: X509SvidInput): Certificate {
  const { spiffeId, dnsNames = [] } = input;
  if (spiffeId.path === '') throw refuse('PROFILE', `X509-SVID for the trust domain itself, ${spiffeId.toString()}`);
  return issueUnder(svidProfile, { ...input, dnsNames, subject: subjectOf(input.subject, dnsNames[0]) });
}

function subjectOf(subject: NameFields | Uint8Array | undefined, commonName: string | undefined): Uint8Array {
  const asked = subject instanceof Uint8Array ? fieldsOf(subject) : (subject ?? {});
  const fields = Object.keys(asked).length === 0 ? svidSubject : asked;
  if (fields === svidSubject && commonName === undefined) return encodedSvidSubject;
  return encodeName(commonName === undefined ? fields : { ...fields, commonName });
}

/** Nearly every request names the usual subject: it is not taken apart and put together again each time. */
function fieldsOf(subject: Uint8Array): NameFields {
  return Buffer.compare(subject, encodedSvidSubject) === 0 ? svidSubject : decodeName(subject);
}

interface UnderIssuer extends Validity {
  readonly issuer: Issuer;
  readonly publicKey: KeyObject;
  readonly spiffeId: SpiffeId;
  readonly dnsNames: readonly string[];
  readonly subject: Uint8Array;
  readonly serialNumber?: Uint8Array;
}

function issueUnder(
  profile: Profile,
  { issuer, publicKey, spiffeId, serialNumber = createSerialNumber(), ...rest }: UnderIssuer,
): Certificate {
  const { certificate, signer } = issuer;
  checkIssuer(issuer, spiffeId);
  if (rest.notAfter > certificate.notAfter) {
    throw refuse(
      'PROFILE',
      `${profile.name} would outlive its issuer, which ends ${new Date(certificate.notAfter).toISOString()}`,
    );
  }
  const spki = encodePublicKey(publicKey);
  return issue(signer, serialNumber, {
    ...rest,
    profile,
    issuer: certificate.subject,
    spki,
    uri: spiffeId.toString(),
    subjectKeyId: subjectKeyIdOf(spki),
    authorityKeyId: certificate.subjectKeyId ?? subjectKeyIdOf(certificate.spki),
  });
}

function checkTrustDomainId({ path, trustDomain }: SpiffeId): void {
  if (path !== '') throw refuse('PROFILE', `CA for ${trustDomain.idString()}${path}, want an ID without a path`);
}

/** Trust domains have their own authorities: one never signs for another. */
function checkIssuer({ certificate, signer }: Issuer, { trustDomain }: SpiffeId): void {
  checkX509Ca(certificate, trustDomain);
  if (Buffer.compare(certificate.spki, encodePublicKey(signer.publicKey)) !== 0)
    throw refuse('ISSUER', 'signer has another key than the issuing certificate');
}

function issue(signer: Signer, serialNumber: Uint8Array, intent: Intent): Certificate {
  const algorithm = encodeSignatureAlgorithm(signer.algorithm);
  const tbs = encodeTbs(serialNumber, algorithm, intent);
  const linted = parseTbsCertificate(tbs);
  lintTbs(linted, intent);
  const signature = signer.sign(tbs);
  // An authority is worth a second look. SVIDs are signed thousands at a time, by a key that signed a probe before it was used.
  if (intent.profile.isCa && !verifySignature(signer.algorithm, signer.publicKey, tbs, signature)) {
    throw refuse('ISSUER', `signer returned a bad signature for a ${intent.profile.name}`);
  }
  const der = sequence(tbs, algorithm, tree(tags.bitString, noUnusedBits, signature));
  return certificateOf(linted, der, signature);
}

const version3 = element(contextConstructed(0), smallInteger(2));
const noUnusedBits = new Uint8Array(1);

function encodeTbs(serialNumber: Uint8Array, algorithm: Uint8Array, intent: Intent): Uint8Array {
  const { profile, subjectKeyId, authorityKeyId, dnsNames, uri } = intent;
  const authority = authorityKeyId === undefined ? [] : [encodeAuthorityKeyId(authorityKeyId)];
  const extensions = tree(
    tags.sequence,
    profile.fixedExtensions,
    encodeExtension(extensionOids.subjectKeyId, false, tree(tags.octetString, subjectKeyId)),
    ...authority.map((value) => encodeExtension(extensionOids.authorityKeyId, false, value)),
    encodeExtension(extensionOids.subjectAltName, false, encodeGeneralNames({ dnsNames, uris: [uri] })),
  );
  return sequence(
    version3,
    integer(serialNumber),
    algorithm,
    intent.issuer,
    tree(tags.sequence, encodeTime(intent.notBefore), encodeTime(intent.notAfter)),
    intent.subject,
    intent.spki,
    tree(contextConstructed(3), extensions),
  );
}
