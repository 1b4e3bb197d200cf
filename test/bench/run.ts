// `npm run bench [name]`: what a call costs our server, over mTLS and on PostgreSQL, in CPU time of the server's process. The load comes from this one.
import { generateKeyPairSync, randomUUID, sign, verify } from 'node:crypto';
import { createRequest, startServerUnderLoad, workloadEntry } from './server-under-load.ts';
import type { ServerUnderLoad } from './server-under-load.ts';

interface Case {
  readonly name: string;
  /** What the figures are for. */
  readonly unit: string;
  /** Of each call; more than one where a call carries a batch. */
  readonly units: number;
  readonly calls: number;
  readonly atOnce: number;
  run(server: ServerUnderLoad, index: number): Promise<unknown>;
}

const authorized = 5_000;
const batch = 100;
const outputMask = undefined;
const requests = Array.from({ length: 64 }, (_, index) => createRequest(`/minted/${index}`));
const csrOf = (index: number): Uint8Array => requests[index % requests.length]!.csr;
const entryIds: string[] = [];

const cases: readonly Case[] = [
  {
    name: 'MintX509SVID',
    unit: 'certificate',
    units: 1,
    calls: 2_000,
    atOnce: 16,
    run: ({ admin }, index) => admin.svid.mintX509Svid({ csr: csrOf(index), ttl: 0 }),
  },
  {
    name: 'BatchNewX509SVID',
    unit: 'certificate',
    units: batch,
    calls: 30,
    atOnce: 2,
    run: ({ agent }, index) =>
      agent.svid.batchNewX509Svid({
        params: Array.from({ length: batch }, (_, at) => ({ entryId: entryIds[at]!, csr: csrOf(index + at) })),
      }),
  },
  {
    name: 'MintJWTSVID',
    unit: 'token',
    units: 1,
    calls: 2_000,
    atOnce: 16,
    run: ({ admin }) =>
      admin.svid.mintJwtsvid({ id: { trustDomain: 'example.org', path: '/a' }, audience: ['bench'], ttl: 0 }),
  },
  {
    name: 'NewJWTSVID',
    unit: 'token',
    units: 1,
    calls: 2_000,
    atOnce: 16,
    run: ({ agent }) => agent.svid.newJwtsvid({ entryId: entryIds[0]!, audience: ['bench'] }),
  },
  {
    name: 'GetBundle',
    unit: 'call',
    units: 1,
    calls: 4_000,
    atOnce: 16,
    run: ({ agent }) => agent.bundle.getBundle({ outputMask }),
  },
  {
    name: `GetAuthorizedEntries of ${authorized}`,
    unit: 'call',
    units: 1,
    calls: 60,
    atOnce: 2,
    run: ({ agent }) => agent.entry.getAuthorizedEntries({ outputMask }),
  },
  {
    name: `BatchCreateEntry of ${batch}`,
    unit: 'entry',
    units: batch,
    calls: 40,
    atOnce: 1,
    run: ({ admin }) => createEntries(admin, '/elsewhere'),
  },
  {
    name: 'BatchCreateEntry of 1',
    unit: 'entry',
    units: 1,
    calls: 500,
    atOnce: 8,
    run: ({ admin }) => createEntries(admin, '/elsewhere', 1),
  },
];

async function createEntries({ entry }: ServerUnderLoad['admin'], parentPath: string, count = batch) {
  const entries = Array.from({ length: count }, () => workloadEntry(`/workload/${randomUUID()}`, parentPath));
  const { results } = await entry.batchCreateEntry({ entries, outputMask });
  const refused = results.find(({ status }) => status?.code !== 0);
  if (refused !== undefined) throw new Error(`entry not created: ${refused.status?.message ?? ''}`);
  return results.map((result) => result.entry!.id);
}

async function inParallel(one: Case, server: ServerUnderLoad, calls: number): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < calls; index = next++) await one.run(server, index);
  };
  await Promise.all(Array.from({ length: one.atOnce }, worker));
}

async function measure(one: Case, server: ServerUnderLoad): Promise<void> {
  await inParallel(one, server, one.calls); // what is called often is compiled by now
  const [startedAt, before] = [performance.now(), await server.cpuTime()];
  await inParallel(one, server, one.calls);
  const [used, elapsed] = [(await server.cpuTime()) - before, performance.now() - startedAt];
  const done = one.calls * one.units;
  const row = [(used / 1000 / done).toFixed(3).padStart(10), ((done / elapsed) * 1000).toFixed(0).padStart(10)];
  console.log(`${one.name.padEnd(30)}${row.join('')}  per ${one.unit}`);
}

/** How fast this machine is now, in milliseconds: other figures mean little where these are high. */
function reference(): string {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const data = Buffer.alloc(400);
  const signature = sign('sha256', data, privateKey);
  const timeOf = (act: () => unknown): string => {
    const before = process.cpuUsage();
    for (let round = 0; round < 2_000; round += 1) act();
    const { user, system } = process.cpuUsage(before);
    return ((user + system) / 1000 / 2_000).toFixed(3);
  };
  const signing = timeOf(() => sign('sha256', data, privateKey));
  return `one P-256 signature ${signing} ms, its verification ${timeOf(() => verify('sha256', data, publicKey, signature))} ms`;
}

const wanted = process.argv[2] ?? '';
const server = await startServerUnderLoad();
try {
  for (let made = 0; made < authorized; made += batch) {
    entryIds.push(...(await createEntries(server.admin, server.agentPath)));
  }
  console.log(`Of this machine, now: ${reference()}.`);
  console.log(`${'call'.padEnd(30)}${'CPU ms'.padStart(10)}${'per second'.padStart(12)}`);
  for (const one of cases) if (one.name.includes(wanted)) await measure(one, server);
} finally {
  await server.close();
}
