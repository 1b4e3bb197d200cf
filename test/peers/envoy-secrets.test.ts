// Secret discovery as an Envoy uses it, on our agent and on SPIRE's: the same answers, the same refusals.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { nodeIdOf, ourAgent } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { startEnvoy } from './support/envoy.ts';
import type { Envoy, Told } from './support/envoy.ts';
import { prepareGoEnvoy, prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const id = 'spiffe://example.org/prod/onprem/demo/envoy';
const second = 'spiffe://example.org/prod/onprem/demo/second';
const own = 'spiffe://example.org';
const stage = createStage();
let server: SpireServer;
let ours: Envoy;
let theirs: Envoy;

async function startOne(program: string, name: string, command: string): Promise<Envoy> {
  for (const [entryId, spiffeId] of [[`${name}-1`, id] as const, [`${name}-2`, second] as const]) {
    const selector = ['-selector', ownUid];
    const parent = ['-parentID', nodeIdOf(name), '-spiffeID', spiffeId];
    await server.operate('entry', 'create', '-entryID', entryId, ...parent, ...selector);
  }
  const agent: SpireAgent = await stage.agent({ name, server, command });
  return stage.add(startEnvoy(program, agent.socketPath));
}

beforeAll(async () => {
  const [program, spireAgent] = [await prepareGoEnvoy(), await prepareSpireAgent()];
  server = await stage.server({ name: 'server' });
  ours = await startOne(program, 'ours', ourAgent);
  theirs = await startOne(program, 'theirs', spireAgent);
});
afterAll(() => stage.strike());

/** What both answer to it. */
async function both(command: Told): Promise<unknown> {
  const [one, other] = await Promise.all([ours.tell(command), theirs.tell(command)]);
  expect(one).toEqual(other);
  return one;
}

const answer = (secrets: readonly object[], version = '1') => ({
  version,
  typeUrl: 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
  nonce: version === '' ? '' : '8 digits',
  secrets,
});
const validator = (name: string) => ({
  name,
  validator: 'envoy.tls.cert_validator.spiffe',
  trustDomains: { 'example.org': 1 },
});
const certificate = (name: string, of = name) => ({ name, id: of, chain: 1 });

it('both refuse the same names with the same words', async () => {
  for (const names of [
    ['spiffe://example.org/none'],
    ['default', 'b', 'a'],
    [own, 'ROOTCA'],
    ['ROOTCA', 'ALL'],
    [id, 'default'],
  ])
    expect(await both({ fetch: names })).toMatchObject({ code: 'InvalidArgument' });
  expect(await both({ fetch: ['ALL'], envoy: [1, 17] })).toMatchObject({ code: 'Internal' });
  expect(await both({ ask: ['spiffe://example.org/none'] })).toMatchObject({ code: 'InvalidArgument' });
  expect(await both({ delta: true })).toMatchObject({ code: 'Unimplemented' });
});

it('both fetch the same secrets by the same names', async () => {
  for (const name of [own, 'ROOTCA', 'ALL'])
    expect(await both({ fetch: [name] })).toEqual(answer([validator(name)], ''));
  expect(await both({ fetch: [second] })).toEqual(answer([certificate(second)], ''));
  expect(await both({ fetch: ['default', 'ROOTCA'] })).toEqual(
    answer([validator('ROOTCA'), certificate('default', id)], ''),
  );
  expect(await both({ fetch: [] })).toEqual(answer([validator(own), certificate(id), certificate(second)], ''));
});

it('both give plain roots to an Envoy without the SPIFFE validator', async () => {
  const plain = answer([{ name: 'ROOTCA', roots: 1 }], '');
  expect(await both({ fetch: ['ROOTCA'], envoy: [1, 17] })).toEqual(plain);
  expect(await both({ fetch: ['ROOTCA'], envoy: [1, 18] })).toEqual(answer([validator('ROOTCA')], ''));
  expect(await both({ fetch: ['ROOTCA'], metadata: { disable_spiffe_cert_validation: 'true' } })).toEqual(plain);
});

it('both live through a subscription: other names, a rejection, a rotation, the end', async () => {
  expect(await both({ ask: ['default'] })).toMatchObject(answer([certificate('default', id)]));
  expect(await both({ ask: ['default', 'ROOTCA'] })).toEqual(answer([validator('ROOTCA'), certificate('default', id)]));
  expect(await both({ nack: 'bad certificate' })).toBe('rejected');
  const rotated = both({ rotated: true });
  for (const name of ['ours', 'theirs']) {
    const parent = ['-parentID', nodeIdOf(name), '-spiffeID', id, '-selector', ownUid];
    await server.operate('entry', 'update', '-entryID', `${name}-1`, ...parent, '-dns', 'envoy.example.org');
  }
  expect(await rotated).toEqual(answer([validator('ROOTCA'), certificate('default', id)], 'later'));
  expect(await both({ end: true })).toBe('ended');
});
