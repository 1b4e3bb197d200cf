// The certificates of an x509pop payload, bounded before anything costly is done with them: a caller decides neither how many nor how large keys are.
import type { KeyObject } from 'node:crypto';
import * as z from 'zod';
import { parseCertificate } from '../../pki/certificate.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { PkiError } from '../../pki/errors.ts';
import { invalidEvidence } from '../attest-error.ts';
import { base64Bytes, parseJson } from '../payload.ts';

const payloadSchema = z.object({ certificates: z.array(base64Bytes).nullish() });

export interface Evidence {
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
}

export function parseEvidence(payload: Uint8Array, limits: { maxIntermediates: number; maxRsaBits: number }): Evidence {
  const { certificates } = parseJson(payload, payloadSchema, 'PAYLOAD_MALFORMED', 'attestation data');
  const [leafDer, ...others] = certificates ?? [];
  if (leafDer === undefined) throw invalidEvidence('CERTIFICATE_MISSING', 'no certificate to attest');
  if (others.length > limits.maxIntermediates)
    throw invalidEvidence('CHAIN_TOO_LONG', 'too many intermediate certificates');
  const leaf = readCertificate(leafDer, 'leaf certificate', limits.maxRsaBits);
  const intermediates = others.map((der, index) =>
    readCertificate(der, `intermediate certificate ${index}`, limits.maxRsaBits),
  );
  return { leaf, intermediates };
}

function readCertificate(der: Uint8Array, what: string, maxRsaBits: number): Certificate {
  const { certificate, key } = decode(der, what);
  if ((key.asymmetricKeyDetails?.modulusLength ?? 0) > maxRsaBits) {
    throw invalidEvidence('KEY_TOO_LARGE', `${what} key size too large`);
  }
  return certificate;
}

function decode(der: Uint8Array, what: string): { certificate: Certificate; key: KeyObject } {
  try {
    const certificate = parseCertificate(der);
    return { certificate, key: certificate.publicKey };
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw invalidEvidence('CERTIFICATE_MALFORMED', `unable to parse ${what}: ${cause.message}`, cause);
  }
}
