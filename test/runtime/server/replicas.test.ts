// Two whole servers on one database through forced rotations of both kinds, each step asked of the server that does not hold the authority, while a
// workload behind each of them fetches and meets the other over mTLS without a pause.
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LocalAuthorityService } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { createClient } from '../../../runtime/rpc/client.ts';
import { x509AuthorityId } from '../../../runtime/server/store/bundle-changes.ts';
import {
  connectMtls,
  createJwtSource,
  createMtlsServer,
  createWorkloadApi,
  createX509Source,
} from '../../../runtime/workloadapi/index.ts';
import { eventually } from '../../support/eventually.ts';
import { createTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { startAgent } from '../../support/run-agent.ts';
import { createEntry, runServer, trustDomain } from '../../support/run-server.ts';

const uid = process.getuid?.() ?? 0;
const authorize = () => true;

/** A server, an agent of its own, and what a workload there holds. */
async function openSide(databaseUrl: string, path: string) {
  const server = await runServer({ databaseUrl });
  const token = await server.local.agent.createJoinToken({ ttl: 60, token: '', agentId: undefined });
  await createEntry(server.local, path, `/spire/agent/join_token/${token.value}`, {
    selectors: [{ type: 'unix', value: `uid:${uid}` }],
  });
  const agent = await startAgent({ port: server.port, bundlePem: server.bundlePem, joinToken: token.value });
  await agent.serving();
  const api = createWorkloadApi({ socketPath: agent.socketPath });
  const [x509, jwt] = await Promise.all([createX509Source({ api }), createJwtSource({ api })]);
  const mtls = await createMtlsServer({
    host: '127.0.0.1',
    port: 0,
    source: x509,
    authorize,
    accept: (socket) => socket.end('met'),
  });
  return {
    server,
    agent,
    x509,
    jwt,
    port: mtls.address.port,
    authorities: createClient(LocalAuthorityService, server.localChannel),
    roots: () => x509.bundle(trustDomain).x509Authorities.map(x509AuthorityId),
    keys: () => jwt.bundle(trustDomain).jwtAuthorities.map(({ keyId }) => keyId),
    /** Whether its SVID is signed by this authority. */
    isUnder: (authorityId: string) =>
      Buffer.from(parseCertificate(x509.svid().chain[0]!).authorityKeyId!).toString('hex') === authorityId,
    async close() {
      x509.close();
      jwt.close();
      await mtls.close();
      api.close();
      await agent.remove();
      await server.close();
    },
  };
}
type Side = Awaited<ReturnType<typeof openSide>>;

let database: TestDatabase;
let sides: readonly [Side, Side];
beforeAll(async () => {
  database = await createTestDatabase();
  sides = [await openSide(database.url, '/one'), await openSide(database.url, '/other')];
  // Each knows the other's authorities, which is what two servers of one database owe their workloads.
  await eventually(() => {
    for (const { roots, keys } of sides) expect([roots().length, keys().length]).toEqual([2, 2]);
  });
});
afterAll(async () => {
  for (const side of sides) await side.close();
  await database.drop();
});

/** Meetings and tokens without a pause, until it is told to stop; resolves with how many there were. Throws the first that failed. */
function keepMeeting(from: Side, to: Side) {
  const state = { isOver: false, meetings: 0 };
  const running = (async () => {
    while (!state.isOver) {
      const socket = await connectMtls({ host: '127.0.0.1', port: to.port, source: from.x509, authorize });
      socket.socket.destroy();
      const [{ token }] = await from.jwt.fetch({ audience: ['other'] });
      to.jwt.validate({ token, audience: 'other' });
      state.meetings += 1;
      await setImmediate();
    }
    return state.meetings;
  })();
  running.catch(() => undefined); // Told when it is stopped.
  return () => {
    state.isOver = true;
    return running;
  };
}

async function rotateX509(owner: Side, asked: Side): Promise<void> {
  const { active } = await owner.authorities.getX509AuthorityState({});
  const { preparedAuthority } = await owner.authorities.prepareX509Authority({});
  const [first, second] = [active!.authorityId, preparedAuthority!.authorityId];
  await eventually(() => {
    for (const { roots } of sides) expect(roots()).toContain(second);
  });
  await asked.authorities.activateX509Authority({ authorityId: second });
  await asked.authorities.taintX509Authority({ authorityId: first });
  await eventually(() => {
    for (const { isUnder } of sides) expect(isUnder(first)).toBe(false);
  });
  await asked.authorities.revokeX509Authority({ authorityId: first });
  await eventually(() => {
    for (const { roots } of sides) expect(roots()).not.toContain(first);
  });
}

const keyIdOf = (token: string): string =>
  (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid;

async function rotateJwt(owner: Side, asked: Side): Promise<void> {
  const { active } = await owner.authorities.getJwtAuthorityState({});
  const { preparedAuthority } = await owner.authorities.prepareJwtAuthority({});
  const [first, second] = [active!.authorityId, preparedAuthority!.authorityId];
  await eventually(() => {
    for (const { keys } of sides) expect(keys()).toContain(second);
  });
  await asked.authorities.activateJwtAuthority({ authorityId: second });
  await asked.authorities.taintJwtAuthority({ authorityId: first });
  await eventually(async () => {
    const [{ token }] = await owner.jwt.fetch({ audience: ['other'] });
    expect(keyIdOf(token)).toBe(second);
  });
  await asked.authorities.revokeJwtAuthority({ authorityId: first });
}

test('no fetch and no handshake fails', async () => {
  const [one, other] = sides;
  const stops = [keepMeeting(one, other), keepMeeting(other, one)];
  const outcome = await (async () => {
    for (const [owner, asked] of [
      [one, other],
      [other, one],
    ] as const) {
      await rotateX509(owner, asked);
      await rotateJwt(owner, asked);
    }
  })().then(
    () => 'rotated',
    (error: unknown) => error,
  );
  const meetings = await Promise.all(stops.map((stop) => stop()));
  expect(outcome).toBe('rotated');
  for (const count of meetings) expect(count).toBeGreaterThan(10);
});
