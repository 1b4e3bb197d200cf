// Google's signing key, as the lab has it: made once, with the certificate that verifiers fetch.
import { createHash, createPublicKey, generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';
import type { LabContext } from '../context.ts';
import type { GcpSigner, GcpState } from './state.ts';

/** The project's signer, made when there is none yet. */
export function ensureSigner(state: GcpState, now: number): GcpSigner {
  if (state.signer !== undefined) return state.signer;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const key = forge.pki.privateKeyFromPem(keyPem);
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.setRsaPublicKey(key.n, key.e);
  certificate.serialNumber = '01';
  certificate.validity.notBefore = new Date(now - 60_000);
  certificate.validity.notAfter = new Date(now + 10 * 365 * 86_400_000);
  const name = [{ name: 'commonName', value: 'federated-signon.lab.invalid' }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.sign(key, forge.md.sha256.create());
  const certificatePem = forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n');
  const keyId = createHash('sha1').update(certificatePem).digest('hex');
  state.signer = { keyId, keyPem, certificatePem };
  return state.signer;
}

export function signerOf(context: LabContext): GcpSigner {
  const { signer } = context.state.gcp;
  if (signer === undefined) throw new Error('the lab has no signer for GCP');
  return signer;
}

/** `/oauth2/v1/certs`: certificates by key id. */
export function certificates(context: LabContext): Record<string, string> {
  const { keyId, certificatePem } = signerOf(context);
  return { [keyId]: certificatePem };
}

/** `/oauth2/v3/certs`: the same keys as a JWK set. */
export function jwkSet(context: LabContext): object {
  const { keyId, certificatePem } = signerOf(context);
  return {
    keys: [{ ...createPublicKey(certificatePem).export({ format: 'jwk' }), kid: keyId, alg: 'RS256', use: 'sig' }],
  };
}
