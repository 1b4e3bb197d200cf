// aws_iid's judgement: signatures of documents, and what AWS says about the instance. Each row is one way to lie, and the name of its refusal.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttestCode, AttestRefusal } from '../../../../runtime/attest/attest-error.ts';
import type { InstanceRecord } from '../../../../runtime/attest/aws_iid/instance-record.ts';
import { createAwsIidServerAttestor } from '../../../../runtime/attest/aws_iid/server.ts';
import { encodeBase64, encodeJson } from '../../../../runtime/attest/payload.ts';
import { encodeOid } from '../../../../runtime/pki/der/oid.ts';
import { element } from '../../../../runtime/pki/der/writer.ts';
import { ecKeys, makeCertificate, rsaKeys } from '../certificates.ts';
import { bytes, clock, contextWith, expectRefusal, log, noChallenge, trustDomain } from '../server-context.ts';
import { fakeAws, instance } from './aws-fake.ts';
import { attribute, digestOf, document, honestAttributes, makePkcs7, oids } from './signed-document.ts';
import type { Pkcs7Input } from './signed-document.ts';

const region = makeCertificate({ commonName: 'us-east-1', keys: rsaKeys(), serialNumber: 7 });
const elsewhere = makeCertificate({ commonName: 'eu-west-1', keys: rsaKeys(), serialNumber: 8 });
/** The same name and serial number as the region's, another key. */
const impostor = makeCertificate({ commonName: 'us-east-1', keys: rsaKeys(), serialNumber: 7 });
const agentPath = '/spire/agent/aws_iid/000000000077/us-east-1/i-0abc0000000000001';
const content = bytes(JSON.stringify(document, null, 2));

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'aws-iid-'));
  writeFileSync(join(directory, 'us-east-1.pem'), region.pem);
  writeFileSync(join(directory, 'eu-west-1.pem'), elsewhere.pem);
  writeFileSync(join(directory, 'ec.pem'), makeCertificate({ commonName: 'ec', keys: ecKeys() }).pem);
  writeFileSync(join(directory, 'two.pem'), region.pem + elsewhere.pem);
});
afterAll(() => rmSync(directory, { recursive: true }));

function server(more: Record<string, unknown> = {}, aws = fakeAws()) {
  const regions = { 'us-east-1': join(directory, 'us-east-1.pem'), 'eu-west-1': join(directory, 'eu-west-1.pem') };
  return createAwsIidServerAttestor(
    { region_certificates: [regions], ...more },
    { trustDomain, log, clock, instances: aws },
  );
}

/** The payload of an agent that shows this document beside that signature. */
function evidence(signature: Partial<Pkcs7Input> = {}, shown: Uint8Array = signature.content ?? content): Uint8Array {
  const rsa2048 = encodeBase64(makePkcs7({ content, signer: region, ...signature }));
  return encodeJson({
    document: new TextDecoder().decode(shown),
    signature: '',
    rsa2048: rsa2048.replace(/.{64}/g, '$&\n'),
  });
}

const changed = (more: object): Uint8Array => bytes(JSON.stringify({ ...document, ...more }));
const attest = (payload: Uint8Array, judge = server(), attested: string[] = []) =>
  judge.attest(payload, noChallenge, contextWith(attested));

describe('aws_iid accepts', () => {
  it('a document that AWS signed, and says what AWS knows about the instance', async () => {
    const aws = fakeAws();
    const { spiffeId, selectors, canReattest } = await attest(evidence(), server({}, aws));
    expect(spiffeId.toString()).toBe(`spiffe://example.org${agentPath}`);
    expect(selectors.every(({ type }) => type === 'aws_iid')).toBe(true);
    expect(selectors.map(({ value }) => value)).toEqual([
      'account_id:000000000077',
      'az:us-east-1a',
      'iamrole:arn:aws:iam::000000000077:role/node-aws',
      'image:id:ami-0123456789abcdef0',
      'instance:id:i-0abc0000000000001',
      'region:us-east-1',
      'sg:id:sg-1',
      'sg:name:nodes',
      'tag:Name:aws-node-0',
      'tag:bare:',
      'tag:espalier-trust-domain:example.org',
    ]);
    expect(aws.profiles).toEqual(['node-aws']);
    expect(canReattest).toBe(false);
  });

  it.each<[string, Partial<Pkcs7Input>]>([
    ['signed directly, without attributes', { attributes: false }],
    ['in BER with open lengths and the content in pieces', { ber: true }],
    ['in BER without attributes', { ber: true, attributes: false }],
    ['with its certificate inside', { certificates: true }],
  ])('a signature %s', async (_name, signature) => {
    await expect(attest(evidence(signature))).resolves.toBeDefined();
  });

  it('no question about roles where they are switched off or there is no profile', async () => {
    const off = fakeAws();
    await attest(evidence(), server({ disable_instance_profile_selectors: true }, off));
    const none = fakeAws({ ...instance, instanceProfileArn: undefined });
    await attest(evidence(), server({}, none));
    expect([...off.profiles, ...none.profiles]).toEqual([]);
  });

  it('a path from tags', async () => {
    const judge = server({
      agent_path_template: '/aws_iid/{{ .Tags.Name }}/{{ index .Tags "espalier-trust-domain" }}',
    });
    expect((await attest(evidence(), judge)).spiffeId.path).toBe('/spire/agent/aws_iid/aws-node-0/example.org');
  });
});

describe('aws_iid refuses a document', () => {
  const attributesWithout = (index: number): Uint8Array[] =>
    honestAttributes(content).filter((_attribute, at) => at !== index);
  const forged: [string, () => Uint8Array, AttestCode, AttestRefusal][] = [
    [
      'that differs from the signed content',
      () => evidence({}, changed({ instanceId: 'i-0fff' })),
      'INVALID_ARGUMENT',
      'CONTENT_MISMATCH',
    ],
    [
      'that differs by white space only',
      () => evidence({}, bytes(`${JSON.stringify(document, null, 2)}\n`)),
      'INVALID_ARGUMENT',
      'CONTENT_MISMATCH',
    ],
    ['without a signature', () => encodeJson({ document: '{}' }), 'INVALID_ARGUMENT', 'SIGNATURE_MISSING'],
    [
      'with the RSA-1024 signature alone',
      () => encodeJson({ document: '{}', signature: 'c2ln' }),
      'INVALID_ARGUMENT',
      'SIGNATURE_MISSING',
    ],
    ['that is missing', () => encodeJson({ rsa2048: 'AAAA' }), 'INVALID_ARGUMENT', 'PAYLOAD_MALFORMED'],
    [
      'whose signature is not base64',
      () => encodeJson({ document: '{}', rsa2048: '-----' }),
      'INVALID_ARGUMENT',
      'PKCS7_MALFORMED',
    ],
    [
      'whose signature is no ASN.1',
      () => encodeJson({ document: '{}', rsa2048: encodeBase64(bytes('rubbish')) }),
      'INVALID_ARGUMENT',
      'PKCS7_MALFORMED',
    ],
    [
      'whose signature nests too deep',
      () =>
        encodeJson({
          document: '{}',
          rsa2048: encodeBase64(new Uint8Array(9000).fill(0x30).map((byte, at) => (at % 2 === 0 ? byte : 0x80))),
        }),
      'INVALID_ARGUMENT',
      'PKCS7_MALFORMED',
    ],
    ['with bytes after the signature', () => trailing(), 'INVALID_ARGUMENT', 'PKCS7_MALFORMED'],
    [
      'signed as enveloped data',
      () => evidence({ contentType: oids.envelopedData }),
      'INVALID_ARGUMENT',
      'PKCS7_MALFORMED',
    ],
    ['that nobody signed', () => evidence({ signers: 0 }), 'INVALID_ARGUMENT', 'SIGNER_COUNT'],
    ['that two signed', () => evidence({ signers: 2 }), 'INVALID_ARGUMENT', 'SIGNER_COUNT'],
    [
      'of a region that we do not know',
      () => evidence({ content: changed({ region: 'xx-nowhere-1' }) }),
      'INTERNAL',
      'REGION_UNKNOWN',
    ],
    [
      "signed with another region's certificate",
      () => evidence({ signer: elsewhere }),
      'INVALID_ARGUMENT',
      'SIGNER_UNKNOWN',
    ],
    ['signed with another serial number', () => evidence({ serialNumber: 9 }), 'INVALID_ARGUMENT', 'SIGNER_UNKNOWN'],
    [
      "signed by an impostor of the region's name",
      () => evidence({ signer: impostor }),
      'INVALID_ARGUMENT',
      'SIGNATURE_INVALID',
    ],
    [
      'signed by an impostor who brings the certificate along',
      () => evidence({ signer: impostor, certificates: true }),
      'INVALID_ARGUMENT',
      'SIGNATURE_INVALID',
    ],
    [
      'signed with SHA-1',
      () => evidence({ digest: oids.sha1, attributes: false }),
      'INVALID_ARGUMENT',
      'SIGNATURE_ALGORITHM',
    ],
    [
      'said to be signed with PSS',
      () => evidence({ algorithm: oids.rsaPss }),
      'INVALID_ARGUMENT',
      'SIGNATURE_ALGORITHM',
    ],
    [
      'whose digest is of something else',
      () => evidence({ attributes: honestAttributes(changed({ imageId: 'ami-1' })) }),
      'INVALID_ARGUMENT',
      'DIGEST_MISMATCH',
    ],
    [
      'whose digest is empty',
      () => evidence({ attributes: [...attributesWithout(2), attribute(oids.messageDigest, element(4))] }),
      'INVALID_ARGUMENT',
      'DIGEST_MISMATCH',
    ],
    [
      'without a signed digest',
      () => evidence({ attributes: attributesWithout(2) }),
      'INVALID_ARGUMENT',
      'SIGNED_ATTRIBUTES',
    ],
    [
      'with no signed attribute at all, yet a list of them',
      () => evidence({ attributes: [] }),
      'INVALID_ARGUMENT',
      'SIGNED_ATTRIBUTES',
    ],
    [
      'without a signed content type',
      () => evidence({ attributes: attributesWithout(0) }),
      'INVALID_ARGUMENT',
      'SIGNED_ATTRIBUTES',
    ],
    [
      'with another signed content type',
      () =>
        evidence({ attributes: [attribute(oids.contentType, encodeOid(oids.signedData)), ...attributesWithout(0)] }),
      'INVALID_ARGUMENT',
      'SIGNED_ATTRIBUTES',
    ],
    [
      'with two signed digests',
      () =>
        evidence({ attributes: [...honestAttributes(content), attribute(oids.messageDigest, digestOf(bytes('x')))] }),
      'INVALID_ARGUMENT',
      'SIGNED_ATTRIBUTES',
    ],
    [
      'with two digests in one attribute',
      () =>
        evidence({
          attributes: [...attributesWithout(2), attribute(oids.messageDigest, digestOf(content), digestOf(bytes('x')))],
        }),
      'INVALID_ARGUMENT',
      'SIGNED_ATTRIBUTES',
    ],
    [
      'whose attributes are honest and whose signature is over the content',
      () => evidence({ signs: content }),
      'INVALID_ARGUMENT',
      'SIGNATURE_INVALID',
    ],
    [
      'without attributes whose signature was over some',
      () => evidence({ attributes: false, signs: element(0x31, ...honestAttributes(content)) }),
      'INVALID_ARGUMENT',
      'SIGNATURE_INVALID',
    ],
    [
      "made of somebody else's signed attributes",
      () => evidence({ content: element(0x31, ...honestAttributes(content)), attributes: false }),
      'INVALID_ARGUMENT',
      'DOCUMENT_MALFORMED',
    ],
    ['that is signed and no JSON', () => evidence({ content: bytes('no') }), 'INVALID_ARGUMENT', 'DOCUMENT_MALFORMED'],
    [
      'whose account is no account',
      () => evidence({ content: changed({ accountId: '../77' }) }),
      'INVALID_ARGUMENT',
      'DOCUMENT_MALFORMED',
    ],
    [
      'whose region would be a host name',
      () => evidence({ content: changed({ region: 'us-east-1.evil.example' }) }),
      'INVALID_ARGUMENT',
      'DOCUMENT_MALFORMED',
    ],
    [
      'without an instance',
      () => evidence({ content: changed({ instanceId: undefined }) }),
      'INVALID_ARGUMENT',
      'DOCUMENT_MALFORMED',
    ],
  ];
  it.each(forged)('%s', async (_name, payload, code, refusal) => {
    await expectRefusal(attest(payload()), code, refusal);
  });

  it('when any byte of the signature is changed', async () => {
    const judge = server();
    const good = makePkcs7({ content, signer: region });
    const answers = await Promise.all(
      Array.from(good.keys(), async (at) => {
        const bad = Uint8Array.from(good);
        bad[at] = (bad[at] ?? 0) ^ 0x01;
        const payload = encodeJson({ document: new TextDecoder().decode(content), rsa2048: encodeBase64(bad) });
        return judge.attest(payload, noChallenge, contextWith()).then(
          () => at,
          () => undefined,
        );
      }),
    );
    // What the signature does not cover, and nothing is decided by: the two versions, the list of digest algorithms, the NULLs beside the OIDs.
    const accepted = answers.filter((at) => at !== undefined);
    const uncovered = accepted.filter((at) => insideSignedPart(good, at));
    expect(uncovered).toEqual([]);
    expect(accepted.length).toBeLessThan(30);
  });

  it('that was used before', async () => {
    const attempt = attest(evidence(), server(), [`spiffe://example.org${agentPath}`]);
    await expectRefusal(attempt, 'PERMISSION_DENIED', 'ALREADY_ATTESTED', 'attestation data has already been used');
  });

  it("that is AWS's own by name, under the certificate that AWS publishes", async () => {
    const judge = createAwsIidServerAttestor({}, { trustDomain, log, clock, instances: fakeAws() });
    await expectRefusal(attest(evidence(), judge), 'INVALID_ARGUMENT', 'SIGNER_UNKNOWN');
  });
});

describe('aws_iid refuses an instance', () => {
  const facts: [string, InstanceRecord | undefined, AttestCode, AttestRefusal][] = [
    ['that AWS does not have, or has stopped', undefined, 'INTERNAL', 'INSTANCE_NOT_FOUND'],
    ['of another ID', { ...instance, instanceId: 'i-0bbb' }, 'PERMISSION_DENIED', 'INSTANCE_MISMATCH'],
    ['of another account', { ...instance, accountId: '000000000078' }, 'PERMISSION_DENIED', 'INSTANCE_MISMATCH'],
    [
      'without its first network interface',
      { ...instance, networkInterfaces: instance.networkInterfaces.slice(0, 1) },
      'INTERNAL',
      'NETWORK_INTERFACE_MISSING',
    ],
    [
      'without its root volume',
      { ...instance, volumes: instance.volumes.slice(0, 1) },
      'INTERNAL',
      'ROOT_VOLUME_MISSING',
    ],
    [
      'whose root volume has no name',
      { ...instance, rootDevice: { type: 'ebs', name: undefined } },
      'INTERNAL',
      'ROOT_VOLUME_MISSING',
    ],
    [
      'whose root volume came 61 s later',
      { ...instance, volumes: [{ deviceName: '/dev/xvda', attachedAt: new Date('2026-11-24T11:59:01Z') }] },
      'PERMISSION_DENIED',
      'ROOT_VOLUME_SWAPPED',
    ],
  ];
  it.each(facts)('%s', async (_name, record, code, refusal) => {
    const aws = { ...fakeAws(), find: async () => record };
    await expectRefusal(attest(evidence(), server({}, aws)), code, refusal);
  });

  it('unless the check of the root volume is off, its account is trusted, or the disk cannot be detached', async () => {
    const swapped = { ...instance, volumes: [] };
    await expect(attest(evidence(), server({ skip_block_device: true }, fakeAws(swapped)))).resolves.toBeDefined();
    await expect(
      attest(evidence(), server({ account_ids_for_local_validation: ['000000000077'] }, fakeAws(swapped))),
    ).resolves.toBeDefined();
    const store = { ...swapped, rootDevice: { type: 'instance-store', name: undefined } };
    await expect(attest(evidence(), server({}, fakeAws(store)))).resolves.toBeDefined();
  });

  it('whose tags climb out of the agent path, or do not give it', async () => {
    const judge = server(
      { agent_path_template: '/aws_iid/{{ .Tags.Name }}' },
      fakeAws({ ...instance, tags: { Name: '../../server' } }),
    );
    await expectRefusal(attest(evidence(), judge), 'INTERNAL', 'AGENT_PATH', /not a SPIFFE ID path/);
    const missing = server({ agent_path_template: '/aws_iid/{{ .Tags.Name }}' }, fakeAws({ ...instance, tags: {} }));
    await expectRefusal(attest(evidence(), missing), 'INTERNAL', 'AGENT_PATH', /does not have/);
  });
});

describe('the configuration of aws_iid', () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [
      { verify_organization: [{}], validate_eks_cluster_membership: [{}] },
      /verify_organization is not supported; validate_eks/,
    ],
    [{ acces_key_id: 'x' }, /unknown key "acces_key_id"/],
    [{ access_key_id: 'x' }, /go together/],
    [
      {
        access_key_id: 'x',
        secret_access_key: 'y',
        web_identity: [{ role_arn: 'arn:aws:iam::000000000077:role/a', audience: 'b' }],
      },
      /only one of/,
    ],
    [{ web_identity: [{ role_arn: 'role/a' }] }, /web_identity\.role_arn.*web_identity\.audience/],
    [{ partition: 'aws-iso' }, /partition/],
    [{ region_certificates: [{ 'us-east-1': '/nowhere.pem' }] }, /region_certificates: ENOENT/],
  ])('refuses %j', (data, message) => {
    expect(() => server(data)).toThrow(message);
  });

  it('refuses a region certificate file that does not hold exactly one', () => {
    expect(() => server({ region_certificates: [{ 'us-east-1': join(directory, 'two.pem') }] })).toThrow(
      /found 2 certificates, want 1/,
    );
  });
});

function trailing(): Uint8Array {
  const rsa2048 = encodeBase64(Buffer.concat([makePkcs7({ content, signer: region }), Buffer.from([5, 0])]));
  return encodeJson({ document: new TextDecoder().decode(content), rsa2048 });
}

/** Whether that byte belongs to the content, the signed attributes or the signature. */
function insideSignedPart(pkcs7: Uint8Array, at: number): boolean {
  const whole = Buffer.from(pkcs7);
  const parts = [content, ...honestAttributes(content), pkcs7.subarray(pkcs7.length - 256)];
  return parts.some((part) => {
    const start = whole.indexOf(part);
    return at >= start && at < start + part.length;
  });
}
