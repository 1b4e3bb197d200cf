// `npm run bench [-- words of a call's name]`: what a call costs our server, over mTLS and on PostgreSQL, in CPU time of the server's process. The
// load comes from this one. The table is printed, and kept beside its JSON under `.espalier/bench/`.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgres } from '../support/postgres-server.ts';
import { cases } from './cases.ts';
import { measureLargeStart } from './large-start.ts';
import { measure, measureMachine } from './measure.ts';
import type { Figures } from './measure.ts';
import { markdownOf } from './report.ts';
import type { Report } from './report.ts';
import { startServerUnderLoad } from './server-under-load.ts';

const directory = join(import.meta.dirname, '../../.espalier/bench');
const wanted = process.argv.slice(2).join(' ');

const postgres = await startPostgres();
try {
  const report: Report = {
    date: new Date().toISOString(),
    machine: measureMachine(),
    figures: await measureCalls(postgres.url),
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
