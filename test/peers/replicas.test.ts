// Three of our servers on one database through whole forced rotations, asked of servers that do not own the authority, while an agent of ours and one of
// SPIRE's serve workloads that shake hands and ask for tokens all the time: nothing may fail.
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCertificate } from '../../runtime/pki/certificate.ts';
import {
  connectMtls,
  createJwtSource,
  createMtlsServer,
  createWorkloadApi,
  createX509Source,
} from '../../runtime/workloadapi/index.ts';
import type { JwtSource, X509Source } from '../../runtime/workloadapi/index.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { eventually } from './support/processes.ts';
import { prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

interface Workload {
  readonly x509: X509Source;
  readonly jwt: JwtSource;
  readonly id: string;
}

interface State {
  readonly authority_id: string;
}
type States = Readonly<Record<'active' | 'prepared' | 'old', State | undefined>>;

const stage = createStage();
const servers: SpireServer[] = [];
const workloads: Workload[] = [];
const traffic = { handshakes: 0, tokens: 0, failures: [] as string[] };
const stopping = new AbortController();
let running: Promise<void>;

/** A workload in this process, on the agent's socket. */
async function startWorkload(agent: SpireAgent): Promise<Workload> {
  const api = createWorkloadApi({ socketPath: agent.socketPath });
  const [x509, jwt] = await Promise.all([createX509Source({ api }), createJwtSource({ api })]);
  stage.add({
    stop: async () => {
      x509.close();
      jwt.close();
      api.close();
    },
  });
  return { x509, jwt, id: x509.svid().id.toString() };
}

/** New connections in both directions, and tokens that the other one verifies, until the end. */
async function keepTraffic([a, b]: readonly Workload[]): Promise<void> {
  if (a === undefined || b === undefined) throw new Error('there must be two workloads');
  const open = async ({ x509 }: Workload) => {
    const server = await createMtlsServer({
      host: '127.0.0.1',
      port: 0,
      source: x509,
      authorize: () => true,
      accept: (socket) => void socket.end('welcome'),
      refused: (error) => traffic.failures.push(`refused: ${error.message}`),
    });
    stage.add({ stop: () => server.close() });
    return server.address.port;
  };
  const ways = [
    { from: a, to: b, port: await open(b) },
    { from: b, to: a, port: await open(a) },
  ];
  while (!stopping.signal.aborted) {
    for (const { from, to, port } of ways) {
      try {
        const { socket } = await connectMtls({ host: '127.0.0.1', port, source: from.x509, authorize: () => true });
        let text = '';
        for await (const chunk of socket) text += String(chunk);
        if (text !== 'welcome') throw new Error('the other end closed the connection');
        traffic.handshakes += 1;
        const [{ token }] = await from.jwt.fetch({ audience: ['peer'] });
        to.jwt.validate({ token, audience: 'peer' });
        traffic.tokens += 1;
      } catch (error) {
        traffic.failures.push((error as Error).message);
      }
    }
    await delay(20);
  }
}

beforeAll(async () => {
  const spireAgent = await prepareSpireAgent();
  const database = await createTestDatabase();
  stage.add({ stop: () => database.drop() });
  for (const name of ['one', 'two', 'three']) servers.push(await stage.server({ name, database }));
  const [one, two] = servers as [SpireServer, SpireServer];
  for (const name of ['ours', 'spires']) {
    const spiffeId = `spiffe://example.org/prod/onprem/demo/${name}`;
    await one.createEntry({ parentId: nodeIdOf(name), spiffeId, selectors: [ownUid] });
  }
  workloads.push(await startWorkload(await stage.agent({ name: 'ours', server: one })));
  workloads.push(await startWorkload(await stage.agent({ name: 'spires', server: two, command: spireAgent })));
  running = keepTraffic(workloads);
});
afterAll(async () => {
  stopping.abort();
  await running;
  await stage.strike();
});

async function statesOf(server: SpireServer, kind: 'x509' | 'jwt'): Promise<States> {
  return JSON.parse(await server.operate('localauthority', kind, 'show', '-output', 'json')) as States;
}

const holdsX509 = (authorityId: string) => (workload: Workload) =>
  workload.x509
    .bundle(workload.x509.svid().id.trustDomain)
    .x509Authorities.some(
      ({ asn1 }) => Buffer.from(parseCertificate(asn1).subjectKeyId ?? []).toString('hex') === authorityId,
    );
const holdsJwt = (authorityId: string) => (workload: Workload) =>
  workload.jwt.bundle(workload.x509.svid().id.trustDomain).jwtAuthorities.some(({ keyId }) => keyId === authorityId);

async function everybody(what: string, holds: (workload: Workload) => boolean | Promise<boolean>): Promise<void> {
  await eventually(
    what,
    async () => {
      const held = await Promise.all(workloads.map(async (workload) => holds(workload)));
      const missing = workloads.filter((_, index) => held[index] !== true).map(({ id }) => id);
      if (missing.length > 0) throw new Error(`not at ${missing.join(', ')}`);
    },
    60_000,
  );
}

/** By which key a token is that the workload gets now, of those that its agent keeps too. */
async function keyOf({ jwt }: Workload): Promise<string | undefined> {
  const [{ token }] = await jwt.fetch({ audience: ['peer'] });
  const [header = ''] = token.split('.');
  return (JSON.parse(Buffer.from(header, 'base64url').toString()) as { kid?: string }).kid;
}

/** Who signed what the workload shows. */
const issuerOf = ({ x509 }: Workload) =>
  Buffer.from(parseCertificate(x509.svid().chain[0]!).authorityKeyId ?? []).toString('hex');

describe.each(['one', 'two'] as const)('the authorities of server %s', (name) => {
  const owner = () => servers.find((server) => server.name === name)!;
  const others = () => servers.filter((server) => server.name !== name) as [SpireServer, SpireServer];

  it.each([
    ['x509', holdsX509],
    ['jwt', holdsJwt],
  ] as const)('are rotated: %s', async (kind, holds) => {
    const [first, second] = others();
    const old = (await statesOf(owner(), kind)).active!.authority_id;
    await owner().operate('localauthority', kind, 'prepare');
    const next = (await statesOf(owner(), kind)).prepared!.authority_id;
    await everybody('the new authority', holds(next));
    await first.operate('localauthority', kind, 'activate', '-authorityID', next);
    expect(await statesOf(owner(), kind)).toMatchObject({ active: { authority_id: next }, old: { authority_id: old } });
    await second.operate('localauthority', kind, 'taint', '-authorityID', old);
    if (kind === 'x509') await everybody('an SVID of another authority', (workload) => issuerOf(workload) !== old);
    else await everybody('a token of another key', async (workload) => (await keyOf(workload)) !== old);
    await first.operate('localauthority', kind, 'revoke', '-authorityID', old);
    await everybody('a bundle without the old authority', (workload) => !holds(old)(workload));
    for (const server of servers) {
      const shown = JSON.parse(await server.operate('bundle', 'show', '-output', 'json')) as Record<string, unknown[]>;
      expect(shown['x509_authorities']).toHaveLength(3);
      expect(shown['jwt_authorities']).toHaveLength(3);
    }
  });
});

it('nothing failed on the way', () => {
  console.log(`${traffic.handshakes} handshakes, ${traffic.tokens} tokens`);
  expect(traffic.failures).toEqual([]);
  expect(traffic.handshakes).toBeGreaterThan(100);
  expect(traffic.tokens).toBeGreaterThan(100);
});
