// aws_iid's judgement of documents: each row is one way to pretend that AWS signed something, and the name of its refusal.
import { afterAll, describe, expect, it } from 'vitest';
import type { AttestCode, AttestRefusal } from '../../../../runtime/attest/attest-error.ts';
import { createAwsIidServerAttestor } from '../../../../runtime/attest/aws_iid/server.ts';
import { encodeBase64, encodeJson } from '../../../../runtime/attest/payload.ts';
import { encodeOid } from '../../../../runtime/pki/der/oid.ts';
import { element } from '../../../../runtime/pki/der/writer.ts';
import { bytes, clock, contextWith, expectRefusal, log, noChallenge, trustDomain } from '../server-context.ts';
import {
  agentPath,
  attest,
  changed,
  content,
  elsewhere,
  evidence,
  impostor,
  region,
  removeFixture,
  server,
} from './attest-fixture.ts';
import { fakeAws } from './aws-fake.ts';
import { attribute, digestOf, document, honestAttributes, makePkcs7, oids } from './signed-document.ts';

afterAll(removeFixture);

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
