// x509pop, both halves against each other, and each rule of its refusal list (spire-rules §3.11) by name.
import { createHash, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createX509PopAgentAttestor } from '../../../../runtime/attest/x509pop/agent.ts';
import type { Challenge, ServerAttestor } from '../../../../runtime/attest/attestor.ts';
import { encodeBase64, encodeJson } from '../../../../runtime/attest/payload.ts';
import { createServerAttestor } from '../../../../runtime/attest/server-attestors.ts';
import { ecKeys, makeCertificate, rsaKeys } from '../certificates.ts';
import type { TestCertificate } from '../certificates.ts';
import { bytes, clock, contextWith, expectRefusal, log, noChallenge, text, trustDomain } from '../server-context.ts';

const root = makeCertificate({ commonName: 'root', keys: ecKeys(), ca: true, serialNumber: 3 });
const intermediate = makeCertificate({
  commonName: 'intermediate',
  keys: ecKeys('P-384'),
  ca: true,
  issuer: root,
  serialNumber: 4,
});
const ecLeaf = makeCertificate({
  commonName: 'worker',
  keys: ecKeys(),
  issuer: root,
  serialNumber: 0x1a,
  ipv4: '127.0.0.7',
});
const rsaLeaf = makeCertificate({ commonName: 'old worker', keys: rsaKeys(), issuer: intermediate, serialNumber: 5 });

let directory = '';
const path = (name: string): string => join(directory, name);
const sha1 = (der: Uint8Array): string => createHash('sha1').update(der).digest('hex');

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'x509pop-'));
  writeFileSync(path('ca.pem'), root.pem);
});
afterAll(() => rmSync(directory, { recursive: true }));

function server(more: Record<string, unknown> = {}, roots?: () => Promise<Uint8Array[]>): ServerAttestor {
  const data = more['mode'] === 'spiffe' ? more : { ca_bundle_path: path('ca.pem'), ...more };
  return createServerAttestor('x509pop', data, {
    trustDomain,
    log,
    clock,
    ...(roots === undefined ? {} : { x509Authorities: roots }),
  });
}

function agent(leaf: TestCertificate, intermediates: readonly TestCertificate[] = []) {
  writeFileSync(path('leaf.pem'), leaf.pem);
  writeFileSync(path('key.pem'), leaf.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(path('intermediates.pem'), intermediates.map(({ pem }) => pem).join(''));
  const more = intermediates.length === 0 ? {} : { intermediates_path: path('intermediates.pem') };
  return createX509PopAgentAttestor({
    certificate_path: path('leaf.pem'),
    private_key_path: path('key.pem'),
    ...more,
  });
}

async function attest(
  leaf: TestCertificate,
  intermediates: readonly TestCertificate[] = [],
  judge = server(),
  challenge?: Challenge,
) {
  const attestor = agent(leaf, intermediates);
  const answer = challenge ?? ((asked: Uint8Array) => attestor.respond(asked));
  return judge.attest(await attestor.payload(), answer, contextWith());
}

const payloadOf = (...certificates: readonly Uint8Array[]) =>
  encodeJson({ certificates: certificates.map(encodeBase64) });
const nonceOf = (challenge: Uint8Array, kind: string) =>
  Buffer.from((JSON.parse(text(challenge)) as Record<string, { nonce: string }>)[kind]!.nonce, 'base64');

describe('x509pop accepts', () => {
  it('a leaf of a configured authority, and names it by its fingerprint', async () => {
    const { spiffeId, selectors, canReattest } = await attest(ecLeaf);
    expect(spiffeId.toString()).toBe(`spiffe://example.org/spire/agent/x509pop/${sha1(ecLeaf.der)}`);
    expect(selectors).toEqual([
      { type: 'x509pop', value: 'subject:cn:worker' },
      { type: 'x509pop', value: `ca:fingerprint:${sha1(root.der)}` },
      { type: 'x509pop', value: 'serialnumber:1a' },
    ]);
    expect(canReattest).toBe(true);
  });

  it('an RSA key, over an intermediate', async () => {
    const { selectors } = await attest(rsaLeaf, [intermediate]);
    expect(selectors.map(({ value }) => value)).toContain(`ca:fingerprint:${sha1(intermediate.der)}`);
  });

  it('integers without their leading zeros, as Go sends them, and with them', async () => {
    for (const strip of [true, false]) {
      const challenge: Challenge = async (asked) => {
        const nonce = Buffer.alloc(32, 7);
        const message = Buffer.concat([nonceOf(asked, 'ecdsa_signature'), nonce]);
        const signature = sign('sha256', message, { key: ecLeaf.keys.privateKey, dsaEncoding: 'ieee-p1363' });
        const parts = [signature.subarray(0, 32), signature.subarray(32)].map((part) =>
          strip ? part.subarray(part.findIndex((byte) => byte !== 0)) : Buffer.concat([Buffer.alloc(2), part]),
        );
        const [r, s] = parts.map(encodeBase64);
        return encodeJson({ ecdsa_signature: { nonce: encodeBase64(nonce), r, s } });
      };
      await expect(attest(ecLeaf, [], server(), challenge)).resolves.toBeDefined();
    }
  });

  it('URIs of its own scheme as selectors and in the agent path', async () => {
    const uris = [
      'x509pop://example.org/cluster/blue',
      'x509pop://other.org/cluster/red',
      'x509pop://example.org/alone',
    ];
    const leaf = makeCertificate({ commonName: 'n', keys: ecKeys(), issuer: root, uris });
    const judge = server({ agent_path_template: '/x509pop/{{ .URISanSelectors.cluster }}/{{ .SerialNumberHex }}' });
    const { spiffeId, selectors } = await attest(leaf, [], judge);
    expect(spiffeId.path).toBe('/spire/agent/x509pop/blue/01');
    expect(selectors.filter(({ value }) => value.startsWith('san:'))).toEqual([
      { type: 'x509pop', value: 'san:cluster:blue' },
    ]);
  });

  it('in mode spiffe an SVID below the prefix, judged by the bundle', async () => {
    const leaf = makeCertificate({
      commonName: '',
      keys: ecKeys(),
      issuer: root,
      uris: ['spiffe://example.org/spire-exchange/rack/7'],
    });
    const { spiffeId } = await attest(
      leaf,
      [],
      server({ mode: 'spiffe' }, async () => [root.der]),
    );
    expect(spiffeId.path).toBe('/spire/agent/x509pop/rack/7');
  });
});

describe('x509pop refuses', () => {
  const payloads: [string, Uint8Array, Parameters<typeof expectRefusal>[2], RegExp][] = [
    ['an empty payload', new Uint8Array(), 'PAYLOAD_EMPTY', /missing attestation payload/],
    ['more than 64 KiB', new Uint8Array(70_000), 'PAYLOAD_TOO_LARGE', /70000 bytes/],
    ['what is not JSON', bytes('secret{'), 'PAYLOAD_MALFORMED', /^attestation data is not JSON$/],
    ['no certificate', payloadOf(), 'CERTIFICATE_MISSING', /no certificate to attest/],
    ['null for certificates', encodeJson({ certificates: null }), 'CERTIFICATE_MISSING', /no certificate/],
    ['what is not base64', encodeJson({ certificates: ['*'] }), 'PAYLOAD_MALFORMED', /not base64/],
    ['a leaf that is none', payloadOf(bytes('leaf')), 'CERTIFICATE_MALFORMED', /unable to parse leaf certificate/],
    [
      'an intermediate that is none',
      payloadOf(ecLeaf.der, bytes('x')),
      'CERTIFICATE_MALFORMED',
      /intermediate certificate 0/,
    ],
    [
      'five intermediates, before any is read',
      payloadOf(ecLeaf.der, ...Array<Uint8Array>(5).fill(bytes('x'))),
      'CHAIN_TOO_LONG',
      /too many/,
    ],
  ];
  it.each(payloads)('%s', async (_name, payload, refusal, message) => {
    await expectRefusal(server().attest(payload, noChallenge, contextWith()), 'INVALID_ARGUMENT', refusal, message);
  });

  it('a key larger than configured, on leaf and intermediate', async () => {
    const judge = server({ max_rsa_key_size: 2047 });
    await expectRefusal(
      judge.attest(payloadOf(rsaLeaf.der), noChallenge, contextWith()),
      'INVALID_ARGUMENT',
      'KEY_TOO_LARGE',
      /^leaf certificate/,
    );
    const payload = payloadOf(ecLeaf.der, rsaLeaf.der);
    await expectRefusal(
      judge.attest(payload, noChallenge, contextWith()),
      'INVALID_ARGUMENT',
      'KEY_TOO_LARGE',
      /^intermediate certificate 0/,
    );
  });

  it('a chain that ends elsewhere', async () => {
    const stranger = makeCertificate({ commonName: 'root', keys: ecKeys(), ca: true });
    const leaf = makeCertificate({ commonName: 'worker', keys: ecKeys(), issuer: stranger });
    await expectRefusal(
      attest(leaf, [stranger]),
      'PERMISSION_DENIED',
      'CHAIN_UNTRUSTED',
      /certificate verification failed/,
    );
    await expectRefusal(attest(rsaLeaf), 'PERMISSION_DENIED', 'CHAIN_UNTRUSTED');
  });

  it('an expired leaf', async () => {
    const leaf = makeCertificate({
      commonName: 'worker',
      keys: ecKeys(),
      issuer: root,
      notAfter: new Date('2026-11-24T11:59:59Z'),
    });
    await expectRefusal(attest(leaf), 'PERMISSION_DENIED', 'CHAIN_UNTRUSTED');
  });

  it('a leaf that another leaf issued', async () => {
    const leaf = makeCertificate({ commonName: 'child', keys: ecKeys(), issuer: ecLeaf });
    await expectRefusal(attest(leaf, [ecLeaf]), 'PERMISSION_DENIED', 'CHAIN_UNTRUSTED');
  });

  it('a leaf that may not sign', async () => {
    const leaf = makeCertificate({ commonName: 'worker', keys: ecKeys(), issuer: root, digitalSignature: false });
    await expectRefusal(attest(leaf), 'INTERNAL', 'KEY_USAGE', /not intended for digital signature/);
  });

  const answers: [
    string,
    (challenge: Uint8Array) => Uint8Array,
    'INVALID_ARGUMENT' | 'PERMISSION_DENIED',
    Parameters<typeof expectRefusal>[2],
  ][] = [
    ['an answer that is not JSON', () => bytes('no'), 'INVALID_ARGUMENT', 'CHALLENGE_MALFORMED'],
    ['no answer', () => encodeJson({}), 'PERMISSION_DENIED', 'POSSESSION_UNPROVEN'],
    [
      'an RSA answer to an ECDSA challenge',
      () => encodeJson({ rsa_signature: { nonce: '', signature: '' } }),
      'PERMISSION_DENIED',
      'POSSESSION_UNPROVEN',
    ],
    [
      'a short nonce',
      () => encodeJson({ ecdsa_signature: { nonce: 'AAAA', r: 'AQ==', s: 'AQ==' } }),
      'PERMISSION_DENIED',
      'NONCE_LENGTH',
    ],
    ['a zero signature', () => ecAnswer(Buffer.alloc(64)), 'PERMISSION_DENIED', 'POSSESSION_UNPROVEN'],
    ['integers wider than the curve', () => ecAnswer(Buffer.alloc(80, 1)), 'PERMISSION_DENIED', 'POSSESSION_UNPROVEN'],
    [
      'a signature of another key',
      (asked) => ecAnswer(signature(asked, root)),
      'PERMISSION_DENIED',
      'POSSESSION_UNPROVEN',
    ],
    [
      'a signature over another nonce',
      () => ecAnswer(signature(undefined, ecLeaf)),
      'PERMISSION_DENIED',
      'POSSESSION_UNPROVEN',
    ],
  ];
  it.each(answers)('%s', async (_name, answer, code, refusal) => {
    await expectRefusal(
      attest(ecLeaf, [], server(), async (asked) => answer(asked)),
      code,
      refusal,
    );
  });

  it('an RSA answer by another key', async () => {
    const other = makeCertificate({ commonName: 'other', keys: rsaKeys() });
    const impostor = agent(other);
    const attempt = server().attest(
      payloadOf(rsaLeaf.der, intermediate.der),
      (asked) => impostor.respond(asked),
      contextWith(),
    );
    await expectRefusal(attempt, 'PERMISSION_DENIED', 'POSSESSION_UNPROVEN', /RSA signature verify failed/);
  });

  it('in mode spiffe an ID outside the prefix, of another trust domain, or none', async () => {
    const judge = server({ mode: 'spiffe' }, async () => [root.der]);
    for (const uris of [
      ['spiffe://example.org/web'],
      ['spiffe://other.org/spire-exchange/a'],
      [],
      ['spiffe://example.org/spire-exchange/a', 'spiffe://example.org/spire-exchange/b'],
    ]) {
      const leaf = makeCertificate({ commonName: 'n', keys: ecKeys(), issuer: root, uris });
      await expectRefusal(attest(leaf, [], judge), 'PERMISSION_DENIED', 'SVID_PREFIX');
    }
  });

  it('an agent path that climbs', async () => {
    const leaf = makeCertificate({ commonName: '../../server', keys: ecKeys(), issuer: root });
    const judge = server({ agent_path_template: '/x509pop/{{ .Subject.CommonName }}' });
    await expectRefusal(attest(leaf, [], judge), 'INTERNAL', 'AGENT_PATH');
  });

  it('a caller at another address than the certificate names, or at none', async () => {
    const attestor = agent(ecLeaf);
    const judge = server({ verify_client_ip: true });
    const from = async (address?: string) =>
      judge.attest(await attestor.payload(), (asked) => attestor.respond(asked), contextWith([], address));
    await expect(from('127.0.0.7')).resolves.toBeDefined();
    await expectRefusal(from('127.0.0.8'), 'PERMISSION_DENIED', 'CLIENT_ADDRESS');
    await expectRefusal(from(), 'INTERNAL', 'CLIENT_ADDRESS');
  });
});

describe('the agent half of x509pop', () => {
  it("refuses a key that is not the certificate's", async () => {
    const attestor = agent(ecLeaf);
    writeFileSync(path('key.pem'), root.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
    await expectRefusal(attestor.payload(), 'INVALID_ARGUMENT', 'EVIDENCE_UNAVAILABLE', /not the certificate's/);
  });

  it('answers only the challenge that fits its key, with a nonce of 32 bytes', async () => {
    const attestor = agent(ecLeaf);
    const nonce = encodeBase64(new Uint8Array(32));
    await expectRefusal(
      attestor.respond(encodeJson({ rsa_signature: { nonce } })),
      'INVALID_ARGUMENT',
      'CHALLENGE_MALFORMED',
      /expecting ECDSA challenge/,
    );
    await expectRefusal(
      attestor.respond(encodeJson({ ecdsa_signature: { nonce: 'AAAA' } })),
      'PERMISSION_DENIED',
      'NONCE_LENGTH',
    );
  });
});

describe('the configuration of x509pop', () => {
  const faults: [Record<string, unknown>, RegExp][] = [
    [{ ca_bundle_paths: ['x'] }, /not both/],
    [{ ca_bundle_path: undefined }, /must be configured/],
    [{ ca_bundle_path: '/nowhere.pem' }, /unable to load trust bundle "\/nowhere.pem"/],
    [{ ca_bundle_pth: 'x' }, /unknown key "ca_bundle_pth"/],
    [{ max_intermediates: 0 }, /max_intermediates/],
    [{ agent_path_template: '/{{ .Finger }}' }, /agent_path_template: template field \.Finger is unknown/],
    [{ mode: 'spiffe' }, /needs the server's bundle/],
  ];
  it.each(faults)('refuses %j', (data, message) => {
    expect(() => server(data)).toThrow(message);
  });
});

function signature(challenge: Uint8Array | undefined, signer: TestCertificate): Buffer {
  const asked = challenge === undefined ? Buffer.alloc(32) : nonceOf(challenge, 'ecdsa_signature');
  return sign('sha256', Buffer.concat([asked, Buffer.alloc(32, 9)]), {
    key: signer.keys.privateKey,
    dsaEncoding: 'ieee-p1363',
  });
}

function ecAnswer(both: Buffer): Uint8Array {
  const half = both.length / 2;
  const [r, s] = [both.subarray(0, half), both.subarray(half)].map(encodeBase64);
  return encodeJson({ ecdsa_signature: { nonce: encodeBase64(Buffer.alloc(32, 9)), r, s } });
}
