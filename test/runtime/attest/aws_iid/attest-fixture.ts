// An aws_iid server half that knows two regions of our own making, and the evidence of an agent in one of them. Call removeFixture at the end.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerAttestorDeps } from '../../../../runtime/attest/attestor.ts';
import type { AwsInstances } from '../../../../runtime/attest/aws_iid/instance-record.ts';
import { createAwsIidServerAttestor } from '../../../../runtime/attest/aws_iid/server.ts';
import { encodeBase64, encodeJson } from '../../../../runtime/attest/payload.ts';
import { makeCertificate, rsaKeys } from '../certificates.ts';
import { bytes, clock, contextWith, log, noChallenge, trustDomain } from '../server-context.ts';
import { fakeAws } from './aws-fake.ts';
import { document, makePkcs7 } from './signed-document.ts';
import type { Pkcs7Input } from './signed-document.ts';

export const region = makeCertificate({ commonName: 'us-east-1', keys: rsaKeys(), serialNumber: 7 });
export const elsewhere = makeCertificate({ commonName: 'eu-west-1', keys: rsaKeys(), serialNumber: 8 });
/** The same name and serial number as the region's, another key. */
export const impostor = makeCertificate({ commonName: 'us-east-1', keys: rsaKeys(), serialNumber: 7 });
export const agentPath = '/spire/agent/aws_iid/000000000077/us-east-1/i-0abc0000000000001';
export const content = bytes(JSON.stringify(document, null, 2));

export const directory = mkdtempSync(join(tmpdir(), 'aws-iid-'));
export const removeFixture = (): void => rmSync(directory, { recursive: true });
writeFileSync(join(directory, 'us-east-1.pem'), region.pem);
writeFileSync(join(directory, 'eu-west-1.pem'), elsewhere.pem);
writeFileSync(join(directory, 'two.pem'), region.pem + elsewhere.pem);

export function server(
  more: Record<string, unknown> = {},
  aws: AwsInstances = fakeAws(),
  deps: Pick<ServerAttestorDeps, 'env'> = {},
) {
  const regions = { 'us-east-1': join(directory, 'us-east-1.pem'), 'eu-west-1': join(directory, 'eu-west-1.pem') };
  return createAwsIidServerAttestor(
    { region_certificates: [regions], ...more },
    { trustDomain, log, clock, instances: aws, ...deps },
  );
}

/** The payload of an agent that shows this document beside that signature. */
export function evidence(
  signature: Partial<Pkcs7Input> = {},
  shown: Uint8Array = signature.content ?? content,
): Uint8Array {
  const rsa2048 = encodeBase64(makePkcs7({ content, signer: region, ...signature }));
  return encodeJson({
    document: new TextDecoder().decode(shown),
    signature: '',
    rsa2048: rsa2048.replace(/.{64}/g, '$&\n'),
  });
}

export const changed = (more: object): Uint8Array => bytes(JSON.stringify({ ...document, ...more }));
export const attest = (payload: Uint8Array, judge = server(), attested: string[] = []) =>
  judge.attest(payload, noChallenge, contextWith(attested));
