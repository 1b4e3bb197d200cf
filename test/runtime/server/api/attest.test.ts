import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../../../proto/gen/spire/api/types/status.ts';
import { askedAgainHeader, askedAgainValue } from '../../../../runtime/attest/asked-again.ts';
import { parseCertificate, serialDecimal } from '../../../../runtime/pki/certificate.ts';
import { createCsr } from '../../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import { certificatesToPem } from '../../../../runtime/pki/pem.ts';
import type { RpcError } from '../../../../runtime/rpc/status.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { attest, runServer } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';

const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
const csr = createCsr({ signer });
const utf8 = (text: string) => new TextEncoder().encode(text);

let server: RunningTestServer;
beforeAll(async () => {
  server = await runServer({ plugins: '' });
});
afterAll(() => server.close());

const newToken = async (ttl = 60) =>
  (await server.local.agent.createJoinToken({ ttl, token: '', agentId: undefined })).value;
const attestToken = (payload: Uint8Array, request = csr, metadata = {}) =>
  attest(server.connectTls(), { type: 'join_token', payload }, request, metadata);
const again = { [askedAgainHeader]: askedAgainValue };
const spent = 'failed to attest: join token does not exist or has already been used';

describe('a join token', () => {
  test('gives an agent an SVID with its ID and the server’s profile', async () => {
    const token = await newToken();
    const { svid, reattestable } = await attestToken(utf8(token));
    expect(svid?.id).toEqual({ trustDomain: 'example.org', path: `/spire/agent/join_token/${token}` });
    expect(reattestable).toBe(false);
    const leaf = parseCertificate(svid!.certChain[0]!);
    expect(leaf.uris).toEqual([`spiffe://example.org/spire/agent/join_token/${token}`]);
    const agent = await server.local.agent.getAgent({ id: svid!.id, outputMask: undefined });
    expect(agent).toMatchObject({
      attestationType: 'join_token',
      banned: false,
      canReattest: false,
      x509svidExpiresAt: svid!.expiresAt,
    });
  });

  test('takes nothing but the key from the CSR', async () => {
    const greedy = createCsr({
      signer,
      spiffeId: parseSpiffeId('spiffe://example.org/spire/server'),
      dnsNames: ['server'],
    });
    const token = await newToken();
    const { svid } = await attestToken(utf8(token), greedy);
    const leaf = parseCertificate(svid!.certChain[0]!);
    expect(leaf.uris).toEqual([`spiffe://example.org/spire/agent/join_token/${token}`]);
    expect(leaf.dnsNames).toEqual([]);
  });

  test('names its owner besides, where it was made so', async () => {
    const agent = await server.attestAgent('/node');
    const { entries } = await agent.entry.getAuthorizedEntries({ outputMask: undefined });
    expect(entries.map(({ spiffeId, parentId, selectors }) => ({ spiffeId, parentId, selectors }))).toEqual([
      {
        spiffeId: { trustDomain: 'example.org', path: '/node' },
        parentId: { trustDomain: 'example.org', path: agent.path },
        selectors: [{ type: 'spiffe_id', value: agent.id }],
      },
    ]);
  });

  test('is good for one attestation of 32 at once', async () => {
    const token = utf8(await newToken());
    const outcomes = await Promise.allSettled(Array.from({ length: 32 }, () => attestToken(token)));
    const refused = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason as RpcError);
    expect(refused).toHaveLength(31);
    for (const error of refused)
      expect(error.message).toBe('failed to attest: join token does not exist or has already been used');
  });

  test('that is spent gives its answer again to the key that it was spent for, and to no other', async () => {
    const token = utf8(await newToken());
    const { svid: lost } = await attestToken(token);
    const stranger = createCsr({ signer: signerOf(generateKeyPairSync('ec-p256').privateKey) });
    await expect(attestToken(token, stranger, again)).rejects.toMatchObject({ message: spent });
    await expect(attestToken(token)).rejects.toMatchObject({ message: spent });

    const { svid } = await attestToken(token, csr, again);
    expect(svid?.id).toEqual(lost?.id);
    const agent = await server.local.agent.getAgent({ id: svid!.id, outputMask: undefined });
    expect(agent.x509svidSerialNumber).not.toBe(serialDecimal(parseCertificate(lost!.certChain[0]!)));
    expect(agent.x509svidSerialNumber).toBe(serialDecimal(parseCertificate(svid!.certChain[0]!)));

    await server.local.agent.banAgent({ id: svid!.id });
    await expect(attestToken(token, csr, again)).rejects.toMatchObject({
      message: 'failed to attest: agent is banned',
    });
    await server.local.agent.deleteAgent({ id: svid!.id });
    await expect(attestToken(token, csr, again)).rejects.toMatchObject({ message: spent });
  });

  test('that is spent gives nothing again once its agent has renewed', async () => {
    const { credentials, token, agent } = await server.attestAgent();
    const key = createCsr({ signer: signerOf(credentials.privateKey) });
    const { privateKey } = generateKeyPairSync('ec-p256');
    const { svid } = await agent.renewAgent({ params: { csr: createCsr({ signer: signerOf(privateKey) }) } });
    const renewed = { certificateChainPem: certificatesToPem(svid!.certChain), privateKey };
    await server.connectTls(renewed).entry.getAuthorizedEntries({ outputMask: undefined });
    await expect(attestToken(utf8(token), key, again)).rejects.toMatchObject({ message: spent });
  });

  test('that has expired is refused, and gone', async () => {
    const token = await newToken(1);
    await new Promise((resolve) => setTimeout(resolve, 2100));
    await expect(attestToken(utf8(token))).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'join token expired',
    });
    await expect(attestToken(utf8(token))).rejects.toMatchObject({
      message: 'failed to attest: join token does not exist or has already been used',
    });
  });

  test.each([
    ['unknown', utf8('00000000-0000-4000-8000-000000000000')],
    ['with a path in it', utf8('../../../workload')],
    ['that is not UTF-8', new Uint8Array([0xff, 0xfe])],
    ['with a NUL', utf8('a\0b')],
    ['with four-byte characters', utf8('💩')],
    ['of 4 KiB', utf8('x'.repeat(4096))],
  ])('%s is refused', async (_what, payload) => {
    await expect(attestToken(payload)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'failed to attest: join token does not exist or has already been used',
    });
  });

  test.each([
    [{ ttl: 0, token: '', agentId: undefined }, 'ttl is required, you must provide one'],
    [
      { ttl: 60, token: 'a/b', agentId: undefined },
      'invalid token: path segment characters are limited to letters, numbers, dots, dashes, and underscores',
    ],
    [{ ttl: 60, token: '..', agentId: undefined }, 'invalid token: path cannot contain dot segments'],
    [
      { ttl: 60, token: '', agentId: { trustDomain: 'example.org', path: '/spire/agent/x' } },
      'invalid agent ID: "spiffe://example.org/spire/agent/x" is not a workload in trust domain "example.org"; path is in the reserved namespace',
    ],
    [
      { ttl: 60, token: '', agentId: { trustDomain: 'other.org', path: '/x' } },
      'invalid agent ID: "spiffe://other.org/x" is not a member of trust domain "example.org"',
    ],
  ])('is not made of %j', async (request, message) => {
    await expect(server.local.agent.createJoinToken(request)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message,
    });
  });

  test('is not made twice', async () => {
    await server.local.agent.createJoinToken({ ttl: 60, token: 'mine', agentId: undefined });
    await expect(
      server.local.agent.createJoinToken({ ttl: 60, token: 'mine', agentId: undefined }),
    ).rejects.toMatchObject({ code: statusCode.ALREADY_EXISTS });
  });
});

describe('an attestation is refused', () => {
  const exchange = async (
    ...steps: Parameters<typeof server.local.agent.attestAgent>[0] extends AsyncIterable<infer R> ? R[] : never
  ) => {
    async function* send() {
      yield* steps;
    }
    for await (const response of server.connectTls().agent.attestAgent(send())) return response;
    return undefined;
  };
  const data = { type: 'join_token', payload: utf8('x') };

  test.each([
    ['without params', { step: undefined }, 'malformed param: missing params'],
    [
      'that begins with a challenge response',
      { step: { $case: 'challengeResponse' as const, value: utf8('x') } },
      'malformed param: missing params',
    ],
    [
      'without data',
      { step: { $case: 'params' as const, value: { data: undefined, params: { csr } } } },
      'malformed param: missing attestation data',
    ],
    [
      'without SVID params',
      { step: { $case: 'params' as const, value: { data, params: undefined } } },
      'malformed param: missing X509-SVID parameters',
    ],
    [
      'without a CSR',
      { step: { $case: 'params' as const, value: { data, params: { csr: new Uint8Array() } } } },
      'malformed param: missing CSR',
    ],
    [
      'without a type',
      { step: { $case: 'params' as const, value: { data: { ...data, type: '' }, params: { csr } } } },
      'malformed param: missing attestation data type',
    ],
    [
      'without a payload',
      { step: { $case: 'params' as const, value: { data: { ...data, payload: new Uint8Array() }, params: { csr } } } },
      'malformed param: missing attestation data payload',
    ],
    [
      'with a payload of 64 KiB and a byte',
      {
        step: {
          $case: 'params' as const,
          value: { data: { ...data, payload: new Uint8Array(65_537) }, params: { csr } },
        },
      },
      'malformed param: attestation data payload is longer than 65536 bytes',
    ],
  ])('%s', async (_what, step, message) => {
    await expect(exchange(step)).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT, message });
  });

  test('when nothing is sent', async () => {
    await expect(exchange()).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'failed to receive request from stream: EOF',
    });
  });

  test('with a CSR that is none, before the token is taken', async () => {
    const token = utf8(await newToken());
    await expect(attestToken(token, utf8('rubbish'))).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: expect.stringMatching(/^failed to parse CSR: /) as string,
    });
    await expect(attestToken(token)).resolves.toBeDefined();
  });

  test('with a CSR signed by another key', async () => {
    const forged = createCsr({
      signer: { ...signerOf(generateKeyPairSync('ec-p256').privateKey), publicKey: signer.publicKey },
    });
    await expect(attestToken(utf8(await newToken()), forged)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'failed to parse CSR: request is not signed by the key that it carries',
    });
  });

  test('of a type that is not configured', async () => {
    await expect(attest(server.connectTls(), { type: 'x509pop', payload: utf8('x') }, csr)).rejects.toMatchObject({
      code: statusCode.FAILED_PRECONDITION,
      message: 'error getting node attestor: could not find node attestor type "x509pop"',
    });
  });
});

describe('an attested agent', () => {
  const reasonOf = (error: RpcError) => PermissionDeniedDetails.decode(error.details[0]!.value).reason;
  const refusalOf = (promise: Promise<unknown>) =>
    promise.then(
      () => expect.fail('was let through'),
      (error: unknown) => error as RpcError,
    );

  test('renews its SVID, and the old one goes when the new one is used', async () => {
    const agent = await server.attestAgent();
    const { privateKey } = generateKeyPairSync('ec-p256');
    const { svid } = await agent.agent.renewAgent({ params: { csr: createCsr({ signer: signerOf(privateKey) }) } });
    expect(svid?.id?.path).toBe(agent.path);
    await agent.agent.postStatus({ currentBundleSerial: 0, agentVersion: '1.15.3' }); // the old one still works
    const renewed = server.connectTls({ certificateChainPem: certificatesToPem(svid!.certChain), privateKey });
    await renewed.agent.postStatus({ currentBundleSerial: 0, agentVersion: '' });
    const error = await refusalOf(agent.agent.postStatus({ currentBundleSerial: 0, agentVersion: '' }));
    expect(reasonOf(error)).toBe(Reason.AGENT_NOT_ACTIVE);
    expect(
      await server.local.agent.getAgent({
        id: { trustDomain: 'example.org', path: agent.path },
        outputMask: undefined,
      }),
    ).toMatchObject({ agentVersion: '1.15.3' });
  });

  test('is refused a renewal without a CSR, or with one that does not hold', async () => {
    const { agent } = await server.attestAgent();
    await expect(agent.renewAgent({ params: undefined })).rejects.toMatchObject({ message: 'params cannot be nil' });
    await expect(agent.renewAgent({ params: { csr: new Uint8Array() } })).rejects.toMatchObject({
      message: 'missing CSR',
    });
    await expect(agent.renewAgent({ params: { csr: utf8('x') } })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: expect.stringMatching(/^failed to parse CSR: /) as string,
    });
  });

  test('is refused a version that is too long', async () => {
    const { agent } = await server.attestAgent();
    await expect(agent.postStatus({ currentBundleSerial: 0, agentVersion: 'x'.repeat(256) })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'agent version is too long (max 255 characters)',
    });
  });

  test('that is banned is told so, at once', async () => {
    const agent = await server.attestAgent();
    const id = { trustDomain: 'example.org', path: agent.path };
    await server.local.agent.banAgent({ id });
    expect(reasonOf(await refusalOf(agent.entry.getAuthorizedEntries({ outputMask: undefined })))).toBe(
      Reason.AGENT_BANNED,
    );
    expect(await server.local.agent.getAgent({ id, outputMask: undefined })).toMatchObject({
      banned: true,
      x509svidSerialNumber: '',
    });
  });

  test('that is evicted is told so, at once', async () => {
    const agent = await server.attestAgent();
    const id = { trustDomain: 'example.org', path: agent.path };
    await server.local.agent.deleteAgent({ id });
    expect(reasonOf(await refusalOf(agent.entry.getAuthorizedEntries({ outputMask: undefined })))).toBe(
      Reason.AGENT_NOT_ATTESTED,
    );
    await expect(server.local.agent.getAgent({ id, outputMask: undefined })).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      message: 'agent not found',
    });
    await expect(server.local.agent.deleteAgent({ id })).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      message: 'agent not found',
    });
    await expect(server.local.agent.banAgent({ id })).rejects.toMatchObject({
      code: statusCode.NOT_FOUND,
      message: 'agent not found',
    });
  });
});

describe('an agent ID', () => {
  test.each([
    [undefined, 'invalid agent ID: request must specify SPIFFE ID'],
    [
      { trustDomain: 'example.org', path: '' },
      'invalid agent ID: "spiffe://example.org" is not an agent in trust domain "example.org"; path is empty',
    ],
    [
      { trustDomain: 'example.org', path: '/workload' },
      'invalid agent ID: "spiffe://example.org/workload" is not an agent in trust domain "example.org"; path is not in the agent namespace',
    ],
    [
      { trustDomain: 'other.org', path: '/spire/agent/x/y' },
      'invalid agent ID: "spiffe://other.org/spire/agent/x/y" is not a member of trust domain "example.org"',
    ],
    [{ trustDomain: 'example.org', path: 'spire/agent/x/y' }, 'invalid agent ID: path must have a leading slash'],
    [{ trustDomain: 'example.org', path: '/spire/agent/../x' }, 'invalid agent ID: path cannot contain dot segments'],
  ])('%j is refused by show, evict and ban', async (id, message) => {
    const { agent } = server.local;
    for (const call of [
      agent.getAgent({ id, outputMask: undefined }),
      agent.deleteAgent({ id }),
      agent.banAgent({ id }),
    ]) {
      await expect(call).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT, message });
    }
  });
});
