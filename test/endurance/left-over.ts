// "Nothing twice and nothing left over", looked at from outside: both clouds' APIs, processes, sockets, databases and their sessions, the
// servers' own records, and Temporal's open workflows.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { startLab } from '../../workers/up/lab.ts';
import { startPostgres } from '../../workers/up/postgres.ts';
import type { RunningProcess } from '../../workers/up/processes.ts';
import { openStateDirectory } from '../../workers/up/state-directory.ts';
import { listClouds } from './cloud-inventory.ts';
import { adminUrlOf, countSessions, listDatabases, listRecords } from './database-inventory.ts';
import { clouds, databases, machinePrograms, mostSessions, ownProcesses, records } from './expected.ts';
import { findProcesses } from './processes.ts';
import type { FoundProcess } from './processes.ts';
import { findSockets } from './sockets.ts';

export interface Place {
  /** The checkout. */
  readonly root: string;
  readonly state: string;
}

/** The state directory, and the short ones for sockets: `up`'s own and the lab's. */
export function directoriesOf({ state }: Place): string[] {
  const digestOf = (path: string) => createHash('sha256').update(path).digest('hex').slice(0, 8);
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? tmpdir();
  return [state, join(runtime, `espalier-${digestOf(state)}`), `/tmp/esp-${digestOf(join(state, 'lab'))}`];
}

/** What is wrong with a trust domain that stands, while `up` is up. */
export async function checkStanding(place: Place, up: number): Promise<string[]> {
  const adminUrl = adminUrlOf(place.state);
  const listed = await listDatabases(adminUrl);
  const stores = Object.entries(records).filter(([name]) => listed.includes(`database ${name}`));
  const kept = await Promise.all(
    stores.map(async ([name, expected]) => compare(`${name}: `, expected, await listRecords(adminUrl, name))),
  );
  return [
    ...compare('', clouds, await listClouds(join(place.state, 'lab/lab.json'))),
    ...compare('', databases, listed),
    ...kept.flat(),
    ...(await checkSessions(adminUrl)),
    ...checkProcesses(findProcesses(directoriesOf(place)).filter(({ pid }) => pid !== up)),
    ...findSockets(directoriesOf(place))
      .filter(({ isListening }) => !isListening)
      .map(({ path }) => `socket ${path} belongs to nobody`),
    ...(await openWorkflows(place)).map((id) => `workflow ${id} is still running`),
  ];
}

/** What still runs, or was left by what ran, after `up` or `down` has ended. */
export function checkStopped(place: Place): string[] {
  return [
    ...findProcesses(directoriesOf(place)).map(({ pid, command }) => `process ${pid} is left: ${command}`),
    ...findSockets(directoriesOf(place)).map(({ path }) => `socket ${path} is left`),
  ];
}

/** What the clouds and the databases still hold after `down`. Starts the lab and PostgreSQL for as long as it looks. */
export async function checkGone(place: Place): Promise<string[]> {
  const state = openStateDirectory(place.state);
  const started: RunningProcess[] = [];
  const keep = (process: RunningProcess): void => void started.push(process);
  try {
    const { adminUrl } = await startPostgres(state, undefined, keep);
    await startLab(place.root, state, keep);
    const sessions = await countSessions(adminUrl);
    return [
      ...compare('', [], await listClouds(state.path('lab', 'lab.json'))),
      ...compare('', [], await listDatabases(adminUrl)),
      ...sessions.map(({ database, count }) => `${count} sessions in database ${database}`),
      ...[state.path('worker', 'agent'), state.path('summary.json'), state.path('up.lock')]
        .filter((path) => existsSync(path))
        .map((path) => `${path} is left`),
    ];
  } finally {
    for (const process of started.toReversed()) await process.stop();
  }
}

/** Both lists hold what may be there several times: every difference in number is named. */
function compare(prefix: string, expected: readonly string[], actual: readonly string[]): string[] {
  const count = (list: readonly string[], line: string) => list.filter((other) => other === line).length;
  return [...new Set([...expected, ...actual])].flatMap((line) => {
    const [want, have] = [count(expected, line), count(actual, line)];
    return want === have ? [] : [`${prefix}${line}: ${have} instead of ${want}`];
  });
}

async function checkSessions(adminUrl: string): Promise<string[]> {
  const sessions = await countSessions(adminUrl);
  const ours = Object.keys(records);
  return [
    ...ours
      .filter((name) => !sessions.some(({ database }) => database === name))
      .map((name) => `database ${name} has no session`),
    ...sessions
      .filter(({ database, count }) => count > (ours.includes(database) ? mostSessions : 2))
      .map(({ database, count }) => `database ${database} has ${count} sessions`),
  ];
}

function checkProcesses(found: readonly FoundProcess[]): string[] {
  const own = found.filter(({ marked, command }) => marked && !command.startsWith('postgres: '));
  const onMachines = found.filter(({ machine }) => machine !== undefined);
  const kindOf = ({ command }: FoundProcess) => ownProcesses.find((part) => command.includes(part)) ?? command;
  const programs = Object.entries(machinePrograms).flatMap(([part, want]) => {
    const have = onMachines.filter(({ command }) => command.includes(part)).length;
    return have === want ? [] : [`processes ${part} on machines: ${have} instead of ${want}`];
  });
  return [...compare('process ', ownProcesses, own.map(kindOf)), ...programs];
}

/** Asked a few times: what has just ended stays in the list for a moment. */
async function openWorkflows({ state }: Place): Promise<string[]> {
  const { temporal } = JSON.parse(readFileSync(join(state, 'ports.json'), 'utf8')) as { temporal: number };
  const connection = await Connection.connect({ address: `127.0.0.1:${temporal}` });
  try {
    const { workflow } = new Client({ connection });
    let open: string[] = [];
    for (let attempt = 0; attempt < 10; attempt += 1) {
      open = [];
      for await (const { workflowId } of workflow.list({ query: "ExecutionStatus = 'Running'" })) open.push(workflowId);
      if (open.length === 0) return [];
      await sleep(500);
    }
    return open;
  } finally {
    await connection.close();
  }
}
