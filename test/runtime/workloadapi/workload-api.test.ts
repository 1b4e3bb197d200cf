import { expect, test } from 'vitest';
import { createSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { parseEndpointSocket } from '../../../runtime/workloadapi/endpoint.ts';
import { createWorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import { createTestCa } from '../rpc/test-ca.ts';
import { startAgent, x509Response } from './fake-agent.ts';

const ca = createTestCa('example.org');
const foreign = createTestCa('foreign.test');

async function firstOf<T>(answers: AsyncIterable<T>): Promise<T> {
  for await (const answer of answers) return answer;
  return expect.fail('no answer');
}

test.for([
  ['unix:///run/spire/agent.sock', '/run/spire/agent.sock'],
  ['unix:/run/spire/agent.sock', '/run/spire/agent.sock'],
] as const)('%s is a Unix socket', ([text, path]) => {
  expect(parseEndpointSocket(text)).toBe(path);
});

test.for([
  '',
  '/run/agent.sock',
  'unix:',
  'unix://host/agent.sock',
  'unix:agent.sock',
  'tcp://127.0.0.1:80',
  'unix:///a?b=c',
  'unix:///a#b',
])('%j is no Unix socket', (text) => {
  expect(() => parseEndpointSocket(text)).toThrow(expect.objectContaining({ code: 'ENDPOINT' }));
});

test('without a path and without the variable there is no API', () => {
  expect(() => createWorkloadApi({ env: {} })).toThrow('SPIFFE_ENDPOINT_SOCKET is not set');
});

test('X.509-SVIDs come with chain, key, hint and bundles', async () => {
  const svids = [ca.issue('/a'), ca.issue('/b')];
  const { api } = await startAgent(x509Response(ca, svids, [foreign]));
  const context = await firstOf(api.fetchX509Svid());
  expect(context.svids.map(({ id, hint }) => [id.toString(), hint])).toEqual([
    ['spiffe://example.org/a', 'internal'],
    ['spiffe://example.org/b', ''],
  ]);
  expect(Buffer.from(context.svids[0].chain[0]!).equals(svids[0]!.certificate.der)).toBe(true);
  expect(context.svids[0].privateKey.equals(svids[0]!.privateKey)).toBe(true);
  expect([...context.bundles.keys()].sort()).toEqual(['example.org', 'foreign.test']);
});

test('bundles are read', async () => {
  const { api } = await startAgent(x509Response(ca, [ca.issue('/a')], [foreign]));
  const bundles = await firstOf(api.fetchX509Bundles());
  expect(bundles.get('foreign.test')?.x509Authorities).toHaveLength(1);
});

const good = x509Response(ca, [ca.issue('/a')]);
const [svid] = good.svids;
test.for([
  ['no SVID', { ...good, svids: [] }, 'NO_SVID'],
  ['a chain that is rubbish', { ...good, svids: [{ ...svid!, x509Svid: new Uint8Array([1, 2, 3]) }] }, 'RESPONSE'],
  ['no chain', { ...good, svids: [{ ...svid!, x509Svid: new Uint8Array() }] }, 'RESPONSE'],
  ['a key that is rubbish', { ...good, svids: [{ ...svid!, x509SvidKey: new Uint8Array([1]) }] }, 'RESPONSE'],
  [
    'the key of another',
    { ...good, svids: [{ ...svid!, x509SvidKey: x509Response(ca, [ca.issue('/a')]).svids[0]!.x509SvidKey }] },
    'RESPONSE',
  ],
  [
    'an ID that the certificate does not have',
    { ...good, svids: [{ ...svid!, spiffeId: 'spiffe://example.org/b' }] },
    'RESPONSE',
  ],
  ['an ID that is none', { ...good, svids: [{ ...svid!, spiffeId: 'https://example.org' }] }, 'RESPONSE'],
  ['a bundle that is rubbish', { ...good, svids: [{ ...svid!, bundle: new Uint8Array([48, 1]) }] }, 'RESPONSE'],
  ['a federated bundle of no trust domain', { ...good, federatedBundles: { 'x y': new Uint8Array() } }, 'RESPONSE'],
] as const)('an answer with %s is refused as a whole', async ([, response, code]) => {
  const { api } = await startAgent({ ...response, svids: [...response.svids] });
  await expect(firstOf(api.fetchX509Svid())).rejects.toMatchObject({ name: 'WorkloadError', code });
});

test('a JWT-SVID is fetched for an audience and an ID', async () => {
  const { api } = await startAgent();
  const id = createSpiffeId(ca.trustDomain, '/a');
  expect(await api.fetchJwtSvid({ audience: ['x', 'y'], spiffeId: id })).toMatchObject([
    { token: 'token for x,y', hint: 'h' },
  ]);
});

test('a JWT-SVID is validated by the agent', async () => {
  const { api } = await startAgent();
  const { id, claims } = await api.validateJwtSvid({ audience: 'x', token: 'good' });
  expect([id.toString(), claims['aud']]).toEqual(['spiffe://example.org/workload', ['x']]);
  await expect(api.validateJwtSvid({ audience: 'x', token: 'bad' })).rejects.toMatchObject({
    code: statusCode.INVALID_ARGUMENT,
  });
});
