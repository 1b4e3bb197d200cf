// Instance identity documents and their signatures: RSA-2048 PKCS#7 with the document inside, and the older bare RSA-1024 signature.
import { createSign, generateKeyPair } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';
import type { AwsState, Ec2Instance, RegionSigner } from './state.ts';
import { account, regions } from './state.ts';

/** Every region's signer, made where there is none yet. */
export async function ensureRegionSigners(state: AwsState, now: number): Promise<void> {
  await Promise.all(
    regions.map(async (region) => {
      state.signers[region] ??= await createRegionSigner(region, now);
    }),
  );
}

export function regionCertificates(state: AwsState): Record<string, string> {
  return Object.fromEntries(regions.map((region) => [region, state.signers[region]?.certificatePem ?? '']));
}

async function createRegionSigner(region: string, now: number): Promise<RegionSigner> {
  const [keyPem, legacyKeyPem] = await Promise.all([createKey(2048), createKey(1024)]);
  const key = forge.pki.privateKeyFromPem(keyPem);
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.setRsaPublicKey(key.n, key.e);
  // As AWS's own: self-signed, valid for very long.
  certificate.serialNumber = `00${forge.util.bytesToHex(forge.random.getBytesSync(8))}`;
  certificate.validity.notBefore = new Date(now - 86_400_000);
  certificate.validity.notAfter = new Date(now + 100 * 365 * 86_400_000);
  const name = [
    { name: 'countryName', value: 'US' },
    { name: 'stateOrProvinceName', value: 'Washington State' },
    { name: 'localityName', value: 'Seattle' },
    { name: 'organizationName', value: `Espalier Lab ${region}` },
  ];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.sign(key, forge.md.sha256.create());
  return { keyPem, legacyKeyPem, certificatePem: forge.pki.certificateToPem(certificate).replaceAll('\r\n', '\n') };
}

async function createKey(modulusLength: number): Promise<string> {
  const { privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength });
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

/** The document's bytes: the same at every request for the life of the instance. */
export function identityDocument(instance: Ec2Instance): string {
  const fields = {
    accountId: account,
    architecture: 'x86_64',
    availabilityZone: instance.zone,
    billingProducts: null,
    devpayProductCodes: null,
    imageId: instance.imageId,
    instanceId: instance.id,
    instanceType: instance.instanceType,
    kernelId: null,
    marketplaceProductCodes: null,
    pendingTime: `${new Date(instance.launchTime).toISOString().slice(0, 19)}Z`,
    privateIp: instance.machine.address,
    ramdiskId: null,
    region: instance.region,
    version: '2017-09-30',
  };
  const lines = Object.entries(fields).map(([name, value]) => `  ${JSON.stringify(name)} : ${JSON.stringify(value)}`);
  return `{\n${lines.join(',\n')}\n}`;
}

/** Base64 of a PKCS#7 SignedData, content attached, without its certificate: verifiers have that beforehand. */
export function signRsa2048(signer: RegionSigner, document: string, now: number): string {
  const message = forge.pkcs7.createSignedData();
  message.content = forge.util.createBuffer(document, 'utf8');
  const { data, contentType, messageDigest, signingTime, sha256 } = forge.pki.oids as Record<string, string>;
  message.addSigner({
    key: forge.pki.privateKeyFromPem(signer.keyPem),
    certificate: forge.pki.certificateFromPem(signer.certificatePem),
    digestAlgorithm: sha256 ?? '',
    authenticatedAttributes: [
      { type: contentType ?? '', value: data ?? '' },
      { type: messageDigest ?? '' },
      // The type declaration wants a text; the library encodes a date.
      { type: signingTime ?? '', value: new Date(now) as unknown as string },
    ],
  });
  message.sign();
  return inLines(Buffer.from(forge.asn1.toDer(message.toAsn1()).getBytes(), 'latin1'));
}

export function signRsa1024(signer: RegionSigner, document: string): string {
  return inLines(createSign('sha256').update(document).sign(signer.legacyKeyPem));
}

function inLines(data: Buffer): string {
  return data.toString('base64').replace(/(.{64})(?=.)/g, '$1\n');
}
