// Certificates that our issuer would never make: every field can be wrong. And an honest small PKI to compare them with.
import { encodeName } from '../../../runtime/pki/distinguished-name.ts';
import type { NameFields } from '../../../runtime/pki/distinguished-name.ts';
import { contextConstructed } from '../../../runtime/pki/der/tags.ts';
import { encodeTime } from '../../../runtime/pki/der/time.ts';
import type { DerPart } from '../../../runtime/pki/der/writer.ts';
import {
  bitString,
  boolean,
  element,
  integer,
  octetString,
  sequence,
  smallInteger,
} from '../../../runtime/pki/der/writer.ts';
import { encodeAuthorityKeyId, encodeExtendedKeyUsage, encodeExtension } from '../../../runtime/pki/extensions.ts';
import { encodeGeneralNames } from '../../../runtime/pki/general-names.ts';
import { subjectKeyIdOf } from '../../../runtime/pki/key-id.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { encodeKeyUsage } from '../../../runtime/pki/key-usage.ts';
import type { KeyUsageName } from '../../../runtime/pki/key-usage.ts';
import { extensionOids } from '../../../runtime/pki/oids.ts';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import type { Certificate } from '../../../runtime/pki/certificate.ts';
import { encodePublicKey } from '../../../runtime/pki/public-key.ts';
import { encodeSignatureAlgorithm } from '../../../runtime/pki/signature-algorithm.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import type { Signer } from '../../../runtime/pki/signer.ts';

/** 2026-01-01, noon. */
export const now = Date.UTC(2026, 0, 1, 12);
export const hour = 3_600_000;

export interface Authority {
  readonly certificate: Certificate;
  readonly signer: Signer;
}

export interface Forgery {
  readonly version?: number;
  readonly serialNumber?: Uint8Array;
  readonly subject?: NameFields;
  readonly notBefore?: number;
  readonly notAfter?: number;
  /** The whole BasicConstraints; left out when undefined. */
  readonly basicConstraints?: Uint8Array | undefined;
  readonly keyUsage?: readonly KeyUsageName[] | undefined;
  readonly keyUsageCritical?: boolean;
  readonly extendedKeyUsage?: readonly string[];
  readonly uris?: readonly string[];
  readonly dnsNames?: readonly string[];
  /** The whole GeneralNames, instead of uris and dnsNames. */
  readonly names?: DerPart;
  /** Whole extensions, added at the end. */
  readonly extra?: readonly DerPart[];
  readonly innerAlgorithm?: Uint8Array;
  readonly spki?: Uint8Array;
}

export const caConstraints = (pathLength?: number): Uint8Array =>
  sequence(boolean(true), ...(pathLength === undefined ? [] : [smallInteger(pathLength)]));

const keys = new Map<string, Signer>();

/** One key for each name, made when first asked for. */
export function signerNamed(name: string): Signer {
  const signer = keys.get(name) ?? signerOf(generateKeyPairSync('ec-p256').privateKey);
  keys.set(name, signer);
  return signer;
}

/** Signs whatever is asked for; a certificate without an issuer is self-signed. */
export function forge(signer: Signer, forgery: Forgery, issuer?: Authority): Uint8Array {
  const algorithm = encodeSignatureAlgorithm((issuer?.signer ?? signer).algorithm);
  const subject = encodeName(forgery.subject ?? { commonName: 'forged' });
  const tbs = sequence(
    ...((forgery.version ?? 3) === 1 ? [] : [element(contextConstructed(0), smallInteger((forgery.version ?? 3) - 1))]),
    integer(forgery.serialNumber ?? Uint8Array.of(7)),
    forgery.innerAlgorithm ?? algorithm,
    issuer?.certificate.subject ?? subject,
    sequence(encodeTime(forgery.notBefore ?? now - hour), encodeTime(forgery.notAfter ?? now + hour)),
    subject,
    forgery.spki ?? encodePublicKey(signer.publicKey),
    ...encodeExtensions(signer, forgery, issuer),
  );
  return sequence(tbs, algorithm, bitString((issuer?.signer ?? signer).sign(tbs)));
}

function encodeExtensions(signer: Signer, forgery: Forgery, issuer: Authority | undefined): DerPart[] {
  const { basicConstraints, keyUsage, extendedKeyUsage, uris = [], dnsNames = [], extra = [] } = forgery;
  const names =
    forgery.names ?? (uris.length + dnsNames.length > 0 ? encodeGeneralNames({ uris, dnsNames }) : undefined);
  const authorityKeyId = issuer?.certificate.subjectKeyId;
  const maybe = <T>(value: T | undefined, encode: (value: T) => DerPart): DerPart[] =>
    value === undefined ? [] : [encode(value)];
  const list = [
    ...maybe(keyUsage, (uses) =>
      encodeExtension(extensionOids.keyUsage, forgery.keyUsageCritical ?? true, encodeKeyUsage(uses)),
    ),
    ...maybe(extendedKeyUsage, (purposes) =>
      encodeExtension(extensionOids.extendedKeyUsage, false, encodeExtendedKeyUsage(purposes)),
    ),
    ...maybe(basicConstraints, (value) => encodeExtension(extensionOids.basicConstraints, true, value)),
    encodeExtension(extensionOids.subjectKeyId, false, octetString(subjectKeyIdOf(encodePublicKey(signer.publicKey)))),
    ...maybe(authorityKeyId, (value) =>
      encodeExtension(extensionOids.authorityKeyId, false, encodeAuthorityKeyId(value)),
    ),
    ...maybe(names, (value) => encodeExtension(extensionOids.subjectAltName, false, value)),
    ...extra,
  ];
  return (forgery.version ?? 3) === 3 ? [element(contextConstructed(3), sequence(...list))] : [];
}

const caRules: Forgery = { basicConstraints: caConstraints(), keyUsage: ['certSign', 'crlSign'] };

export function rootNamed(name: string, forgery: Forgery = {}): Authority {
  const signer = signerNamed(name);
  const der = forge(signer, { ...caRules, subject: { commonName: name }, ...forgery });
  return { certificate: parseCertificate(der), signer };
}

export function intermediateNamed(name: string, issuer: Authority, forgery: Forgery = {}): Authority {
  const signer = signerNamed(name);
  const der = forge(signer, { ...caRules, subject: { commonName: name }, ...forgery }, issuer);
  return { certificate: parseCertificate(der), signer };
}

/** `spiffe://td.test/workload`, unless the forgery says otherwise. */
export function leafUnder(issuer: Authority, forgery: Forgery = {}): Certificate {
  const rules: Forgery = {
    keyUsage: ['digitalSignature'],
    uris: ['spiffe://td.test/workload'],
    subject: { commonName: 'leaf' },
  };
  return parseCertificate(forge(signerNamed('leaf'), { ...rules, ...forgery }, issuer));
}
