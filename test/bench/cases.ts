// What is measured: each case is one kind of call, made many times by callers that the server knows.
import { randomUUID } from 'node:crypto';
import type { SyncAuthorizedEntriesRequest } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { createQueue } from '../../runtime/rpc/queue.ts';
import { attestAgent, createRequest, workloadEntry } from './callers.ts';
import type { Clients } from './callers.ts';
import type { ServerUnderLoad } from './server-under-load.ts';

export interface BenchCase {
  readonly name: string;
  /** What the figures are for. */
  readonly unit: string;
  /** Of each call; more than one where a call carries a batch. */
  readonly units: number;
  /** Of one round. */
  readonly calls: number;
  readonly atOnce: number;
  /** SPIRE 1.15.3's own server, measured the same way. */
  readonly spire?: string;
  /** Before each round, not measured. */
  prepare?(server: ServerUnderLoad, calls: number): Promise<void>;
  run(server: ServerUnderLoad, index: number): Promise<unknown>;
}

export const authorized = 5_000;
export const synchronized = 10_000;
const batch = 50;
const outputMask = undefined;
const requests = Array.from({ length: 64 }, (_, index) => createRequest(`/minted/${index}`));
const csrOf = (index: number): Uint8Array => requests[index % requests.length]!.csr;
const tokens: string[] = [];

export const cases: readonly BenchCase[] = [
  {
    name: 'MintX509SVID',
    unit: 'certificate',
    units: 1,
    calls: 1_000,
    atOnce: 16,
    spire: '0.77 to 0.84 ms',
    run: ({ admin }, index) => admin.svid.mintX509Svid({ csr: csrOf(index), ttl: 0 }),
  },
  {
    name: `BatchNewX509SVID of ${batch}`,
    unit: 'certificate',
    units: batch,
    calls: 20,
    atOnce: 2,
    spire: '0.53 ms',
    run: ({ agent }, index) =>
      agent.svid.batchNewX509Svid({
        params: Array.from({ length: batch }, (_, at) => ({ entryId: agent.entryIds[at]!, csr: csrOf(index + at) })),
      }),
  },
  {
    name: 'MintJWTSVID',
    unit: 'token',
    units: 1,
    calls: 1_000,
    atOnce: 16,
    spire: '0.49 ms',
    run: ({ admin }) =>
      admin.svid.mintJwtsvid({ id: { trustDomain: 'example.org', path: '/a' }, audience: ['bench'], ttl: 0 }),
  },
  {
    name: 'NewJWTSVID',
    unit: 'token',
    units: 1,
    calls: 1_000,
    atOnce: 16,
    run: ({ agent }) => agent.svid.newJwtsvid({ entryId: agent.entryIds[0]!, audience: ['bench'] }),
  },
  {
    name: 'GetBundle',
    unit: 'call',
    units: 1,
    calls: 2_000,
    atOnce: 16,
    spire: '0.21 ms',
    run: ({ agent }) => agent.bundle.getBundle({ outputMask }),
  },
  {
    name: `GetAuthorizedEntries of ${authorized}`,
    unit: 'call',
    units: 1,
    calls: 20,
    atOnce: 2,
    spire: '10.4 ms',
    run: ({ agent }) => agent.entry.getAuthorizedEntries({ outputMask }),
  },
  {
    name: `SyncAuthorizedEntries of ${synchronized}`,
    unit: 'call',
    units: 1,
    calls: 6,
    atOnce: 1,
    run: ({ largeAgent }) => synchronize(largeAgent),
  },
  {
    name: 'ListEntries, pages of 500',
    unit: 'page',
    units: 1,
    calls: 20,
    atOnce: 2,
    run: ({ admin }) => admin.entry.listEntries({ filter: undefined, outputMask, pageSize: 500, pageToken: '' }),
  },
  {
    name: 'AttestAgent by join token',
    unit: 'agent',
    units: 1,
    calls: 50,
    atOnce: 4,
    prepare: makeTokens,
    run: (server) => attestAgent(() => server.connect(), tokens.pop()!).then(({ close }) => close()),
  },
  {
    name: `BatchCreateEntry of ${batch}`,
    unit: 'entry',
    units: batch,
    calls: 60,
    atOnce: 4,
    spire: '423 to 460/s',
    run: ({ admin }) => createEntries(admin, '/elsewhere', batch),
  },
];

/** Returns their ids. */
export async function createEntries({ entry }: Clients, parentPath: string, count: number): Promise<string[]> {
  const entries = Array.from({ length: count }, () => workloadEntry(`/workload/${randomUUID()}`, parentPath));
  const { results } = await entry.batchCreateEntry({ entries, outputMask });
  const refused = results.find(({ status }) => status?.code !== 0);
  if (refused !== undefined) throw new Error(`entry not created: ${refused.status?.message ?? ''}`);
  return results.map((result) => result.entry!.id);
}

async function makeTokens({ local }: ServerUnderLoad, count: number): Promise<void> {
  while (tokens.length < count) {
    tokens.push((await local.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined })).value);
  }
}

/** As an agent does that has nothing yet: it learns all revisions, then asks for every entry. */
async function synchronize({ entry }: Clients): Promise<void> {
  const questions = createQueue<SyncAuthorizedEntriesRequest>();
  questions.push({ outputMask, ids: [] });
  const ids: string[] = [];
  let received = 0;
  for await (const { entryRevisions, entries, more } of entry.syncAuthorizedEntries(questions)) {
    received += entries.length;
    ids.push(...entryRevisions.map(({ id }) => id));
    if (!more && received === 0) questions.push({ outputMask, ids });
    if (!more && received > 0) questions.end();
  }
  if (received !== synchronized) throw new Error(`${received} entries came, want ${synchronized}`);
}
