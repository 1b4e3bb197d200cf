// A CA of an organisation that knows nothing of SPIFFE, as its tools would make it: RSA, names only, roots and intermediates, in PEM.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import forge from 'node-forge';

export interface EnterpriseCa {
  readonly certificatePem: string;
  /** PKCS #1, as older tools write it. */
  readonly keyPem: string;
  readonly der: Uint8Array;
  /** Another CA below this one. */
  issue(name: string, options?: EnterpriseCaOptions): EnterpriseCa;
}

export interface EnterpriseCaOptions {
  /** epoch ms */
  readonly notAfter?: number;
  readonly isCa?: boolean;
  readonly pathLength?: number;
}

export function createEnterpriseRoot(name: string, options: EnterpriseCaOptions = {}): EnterpriseCa {
  return create(name, options, undefined);
}

interface Issuer {
  readonly subject: forge.pki.CertificateField[];
  readonly key: forge.pki.rsa.PrivateKey;
  readonly keyId: string;
}

let serial = 1;

function create(
  name: string,
  { notAfter, isCa = true, pathLength }: EnterpriseCaOptions,
  issuer?: Issuer,
): EnterpriseCa {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const keyPem = String(
    createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs1' })).export({ format: 'pem', type: 'pkcs1' }),
  );
  const key = forge.pki.privateKeyFromPem(keyPem);
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.setRsaPublicKey(key.n, key.e);
  certificate.serialNumber = `0${(serial += 1).toString(16)}`.slice(-2);
  certificate.validity.notBefore = new Date(Date.now() - 3_600_000);
  certificate.validity.notAfter = new Date(notAfter ?? Date.now() + 365 * 86_400_000);
  const subject = [
    { name: 'organizationName', value: 'Enterprise' },
    { name: 'commonName', value: name },
  ];
  certificate.setSubject(subject);
  certificate.setIssuer(issuer?.subject ?? subject);
  const keyId = certificate.generateSubjectKeyIdentifier().getBytes();
  certificate.setExtensions([
    {
      name: 'basicConstraints',
      cA: isCa,
      critical: true,
      ...(pathLength === undefined ? {} : { pathLenConstraint: pathLength }),
    },
    { name: 'keyUsage', keyCertSign: isCa, cRLSign: isCa, digitalSignature: true, critical: true },
    { name: 'subjectKeyIdentifier' },
    ...(issuer === undefined ? [] : [{ name: 'authorityKeyIdentifier', keyIdentifier: issuer.keyId }]),
  ]);
  certificate.sign(issuer?.key ?? key, forge.md.sha256.create());
  const der = forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes();
  return {
    certificatePem: forge.pki.certificateToPem(certificate),
    keyPem,
    der: new Uint8Array(Buffer.from(der, 'binary')),
    issue: (below, options = {}) => create(below, options, { subject, key, keyId }),
  };
}
