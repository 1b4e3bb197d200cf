// `npm run bench [-- words of a name]`: what a call costs our server, over mTLS and on PostgreSQL, in CPU time of the server's process, and how small
// and how quick the agent is. The load comes from this process and its children. The table is printed, and kept beside its JSON under `.espalier/bench/`.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureDatabase } from '../endurance/tiers/tiers.ts';
import { startPostgres } from '../support/postgres-server.ts';
import { agentCases } from './agent-cases.ts';
import { startAgentUnderLoad } from './agent-under-load.ts';
import { cases } from './cases.ts';
import { measureLargeStart } from './large-start.ts';
import { measureRegistrationCluster } from './registration-cluster.ts';
import { measureRegistration } from './registration.ts';
import { measure, measureMachine } from './measure.ts';
import type { Figures } from './measure.ts';
import { markdownOf } from './report.ts';
import type { AgentFigures, Report } from './report.ts';
import { measureRollOut } from './rollouts/rollout-under-load.ts';
import { startServerUnderLoad } from './server-under-load.ts';

const directory = join(import.meta.dirname, '../../.espalier/bench');
const wanted = process.argv.slice(2).join(' ');

const postgres = await startPostgres();
try {
  const report: Report = {
    date: new Date().toISOString(),
    machine: measureMachine(),
    figures: await measureCalls(postgres.url),
    agent: await measureAgent(postgres.url),
    ...(wanted === '' || 'start'.includes(wanted) ? { largeStart: await measureLargeStart(postgres.url) } : {}),
    ...(await measureRegistrations()),
    ...(await measureRollOuts()),
  };
  const table = markdownOf(report);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'bench.md'), table);
  await writeFile(join(directory, 'bench.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(table);
} finally {
  await postgres.remove();
}

/** `rollouts`, or `rollouts 200` for fewer nodes. */
async function measureRollOuts(): Promise<Pick<Report, 'rollOut'>> {
  if (wanted !== '' && !wanted.startsWith('rollouts')) return {};
  const nodes = Number(wanted.slice('rollouts'.length)) || 2_000;
  process.stderr.write(`rollouts: ${nodes} nodes …\n`);
  return { rollOut: await measureRollOut(await ensureDatabase(postgres.url, 'rollouts'), nodes) };
}

/** `registration`, or `registration 1000` for fewer pods; `registration cluster` is on a real API server, which takes some minutes to be filled. */
async function measureRegistrations(): Promise<Pick<Report, 'registration' | 'registrationCluster'>> {
  if (wanted !== '' && !wanted.startsWith('registration')) return {};
  const [, where, number] = /^registration(?: (cluster))?(?: (\d+))?$/.exec(wanted) ?? [];
  const pods = Number(number ?? 10_000);
  process.stderr.write(`registration: ${pods} pods …\n`);
  const databaseUrl = await ensureDatabase(postgres.url, 'registration');
  if (where !== undefined) return { registrationCluster: await measureRegistrationCluster(databaseUrl, pods) };
  return { registration: await measureRegistration(databaseUrl, pods) };
}

async function measureCalls(databaseUrl: string): Promise<Figures[]> {
  const figures: Figures[] = [];
  const chosen = cases.filter(({ name }) => name.includes(wanted));
  if (chosen.length === 0) return figures;
  const server = await startServerUnderLoad(databaseUrl);
  try {
    for (const one of chosen) {
      process.stderr.write(`${one.name} …\n`);
      figures.push(await measure(one, server));
    }
  } finally {
    await server.close();
  }
  return figures;
}

async function measureAgent(databaseUrl: string): Promise<AgentFigures[]> {
  const figures: AgentFigures[] = [];
  const chosen = agentCases.filter(({ name }) => name.includes(wanted));
  if (chosen.length === 0) return figures;
  const load = await startAgentUnderLoad(databaseUrl);
  try {
    for (const { name, wanted: target, spire, measure: measureCase } of chosen) {
      process.stderr.write(`${name} …\n`);
      const parts = await measureCase(load);
      figures.push({ name, parts, wanted: target, ...(spire === undefined ? {} : { spire }) });
    }
  } finally {
    await load.close();
  }
  return figures;
}
