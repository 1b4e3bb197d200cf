// `npm run bench [-- words of a name]`: what a call costs our server, over mTLS and on PostgreSQL, in CPU time of the server's process, and how small
// and how quick the agent is. The load comes from this process and its children. The table is printed, and kept beside its JSON under `.espalier/bench/`.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgres } from '../support/postgres-server.ts';
import { agentCases } from './agent-cases.ts';
import { startAgentUnderLoad } from './agent-under-load.ts';
import { cases } from './cases.ts';
import { measureLargeStart } from './large-start.ts';
import { measure, measureMachine } from './measure.ts';
import type { Figures } from './measure.ts';
import { markdownOf } from './report.ts';
import type { AgentFigures, Report } from './report.ts';
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
  };
  const table = markdownOf(report);
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'bench.md'), table);
  await writeFile(join(directory, 'bench.json'), `${JSON.stringify(report, undefined, 2)}\n`);
  process.stdout.write(table);
} finally {
  await postgres.remove();
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
