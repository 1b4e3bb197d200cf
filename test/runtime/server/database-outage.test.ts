// A server whose PostgreSQL goes away and comes back. It has a PostgreSQL of its own.
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import { createCsr } from '../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';
import { eventually } from '../../support/eventually.ts';
import { startPostgres } from '../../support/postgres-server.ts';
import type { PostgresServer } from '../../support/postgres-server.ts';
import { createEntry, runServer } from '../../support/run-server.ts';
import type { RunningTestServer } from '../../support/run-server.ts';

let postgres: PostgresServer;
let server: RunningTestServer;
beforeAll(async () => {
  postgres = await startPostgres();
  server = await runServer({ databaseUrl: postgres.url });
});
afterAll(async () => {
  await server.close();
  await postgres.remove();
});

const outputMask = undefined;
const serving = async (): Promise<number> => (await server.local.health.check({ service: '' })).status;

test('while the database is away, agents that the server knows are served, nobody new is let in, and all is well when it is back', async () => {
  const agent = await server.attestAgent();
  const banned = await server.attestAgent();
  await server.local.agent.banAgent({ id: { trustDomain: 'example.org', path: banned.path } });
  const listed = async () => (await agent.entry.getAuthorizedEntries({ outputMask })).entries.map(({ id }) => id);
  const isListed = (...entries: Entry[]) =>
    eventually(async () => expect((await listed()).toSorted()).toEqual(entries.map(({ id }) => id).toSorted()));
  const entry = await createEntry(server.local, '/workload', agent.path);
  await isListed(entry);
  // The server takes changes up in batches, each to its end before the next: with an entry that came after the first was listed, it knows of the ban.
  const second = await createEntry(server.local, '/second', agent.path);
  await isListed(entry, second);
  const { value: token } = await server.local.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
  expect(await serving()).toBe(1);

  await postgres.stop();
  // What an agent needs from one minute to the next.
  expect((await listed()).toSorted()).toEqual([entry.id, second.id].toSorted());
  const { privateKey } = generateKeyPairSync('ec-p256');
  const params = [{ entryId: entry.id, csr: createCsr({ signer: signerOf(privateKey) }) }];
  const { results } = await agent.svid.batchNewX509Svid({ params });
  expect(results.map(({ status, svid }) => [status?.code, svid?.id?.path])).toEqual([[0, '/workload']]);
  const { svid } = await agent.svid.newJwtsvid({ entryId: entry.id, audience: ['a'] });
  expect(svid?.id?.path).toBe('/workload');
  expect((await agent.bundle.getBundle({ outputMask })).x509Authorities).toHaveLength(1);
  // What was refused is refused, what must be written is not pretended, and nobody is told that all is well.
  await expect(banned.entry.getAuthorizedEntries({ outputMask })).rejects.toMatchObject({
    code: statusCode.PERMISSION_DENIED,
  });
  await expect(agent.agent.renewAgent({ params: { csr: params[0]!.csr } })).rejects.toMatchObject({
    code: expect.toBeOneOf([statusCode.UNAVAILABLE, statusCode.INTERNAL]) as number,
  });
  await eventually(async () => expect(await serving()).not.toBe(1));

  await postgres.start();
  await eventually(async () => expect(await serving()).toBe(1));
  await isListed(entry, second, await createEntry(server.local, '/later', agent.path));
  expect(token).not.toBe('');
}, 120_000);
