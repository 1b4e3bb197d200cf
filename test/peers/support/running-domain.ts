// A trust domain that `npm start` grew: the one that runs on this machine, or one of the tests' own, grown for them and taken down after them. Its
// summary says where its sockets are; entries for the tests' programs are made on its servers and deleted again.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { eventually, freePort, output, start } from './processes.ts';
import { root } from './programs.ts';

const growTimeoutMs = 10 * 60_000;
const espalier = join(root, 'bin/espalier');

/** `.espalier/summary.json`, as the README describes it. */
export interface Summary {
  readonly trustDomain: string;
  readonly workflowId: string;
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly servers: readonly {
    readonly name: string;
    readonly role: 'upstream' | 'downstream';
    /** Host and port. */
    readonly address: string;
    readonly adminSocket: string;
  }[];
  readonly agents: readonly {
    readonly name: string;
    readonly segment: string;
    readonly spiffeId: string;
    readonly workloadApiSocket: string;
  }[];
}

export interface RunningDomain {
  readonly summary: Summary;
  /** Where `up` keeps its state. */
  readonly state: string;
  bundlePem(): Promise<string>;
  /** A workload of the segment's first node, whose agent's environment comes back. */
  admit(
    segment: string,
    spiffeId: string,
    selector: string,
  ): Promise<{ readonly env: Readonly<Record<string, string>> }>;
  stop(): Promise<void>;
}

export async function findRunningDomain(directory: string): Promise<RunningDomain> {
  const found = readSummary(join(root, '.espalier/summary.json'));
  if (found !== undefined && (await answers(found)))
    return openDomain(found, join(root, '.espalier'), () => Promise.resolve());
  process.stderr.write('peers: no trust domain runs here: growing one …\n');
  return growDomain(directory, { state: join(root, '.espalier/peers/domain') });
}

export interface Growth {
  readonly state: string;
  /** Another specification than the repository's own. */
  readonly specFile?: string;
  /** Its instances in network namespaces, with the clouds' rules enforced. */
  readonly isolation?: 'namespaces';
}

/** Fails where the tear-down leaves anything. */
export async function growDomain(directory: string, { state, specFile, isolation }: Growth): Promise<RunningDomain> {
  const file = join(state, 'summary.json');
  rmSync(file, { force: true });
  await takePorts(state);
  const flags = ['--state', state, ...(specFile === undefined ? [] : ['--file', specFile])];
  const up = start(espalier, ['up', ...flags, ...(isolation === undefined ? [] : ['--isolation', isolation])], {
    logPath: join(directory, 'up.log'),
    stopTimeoutMs: 60_000,
  });
  const stop = async (): Promise<void> => {
    await up.stop();
    await output(espalier, ['down', ...flags], { timeoutMs: growTimeoutMs });
  };
  const summary = () => {
    const read = readSummary(file);
    if (read === undefined) throw new Error(`no summary yet:\n${up.log()}`);
    return read;
  };
  try {
    return openDomain(await eventually('the trust domain', summary, growTimeoutMs, up.checkRunning), state, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Temporal's usual port is for one domain, and several may stand at once. */
async function takePorts(state: string): Promise<void> {
  const file = join(state, 'ports.json');
  if (existsSync(file)) return;
  mkdirSync(state, { recursive: true });
  writeFileSync(file, JSON.stringify({ temporal: await freePort(), 'temporal-ui': await freePort() }));
}

function openDomain(summary: Summary, state: string, stop: () => Promise<void>): RunningDomain {
  const undo: (() => Promise<unknown>)[] = [];
  const operate = ({ adminSocket }: Summary['servers'][number], ...words: readonly string[]) =>
    output(join(root, 'bin/spire-server'), [...words, '-socketPath', adminSocket]);
  const upstream = anyOf(summary.servers.filter(({ role }) => role === 'upstream'));
  return {
    summary,
    state,
    bundlePem: () => operate(upstream, 'bundle', 'show', '-format', 'pem'),
    async admit(segment, spiffeId, selector) {
      const server = anyOf(
        summary.servers.filter(({ name, role }) => role === 'downstream' && name.startsWith(`${segment}-`)),
      );
      const agent = anyOf(summary.agents.filter((each) => each.segment === segment));
      const flags = ['-parentID', agent.spiffeId, '-spiffeID', spiffeId, '-selector', selector, '-output', 'json'];
      const { results } = JSON.parse(await operate(server, 'entry', 'create', ...flags)) as {
        results: { entry: { id: string } }[];
      };
      undo.push(() => operate(server, 'entry', 'delete', '-entryID', results[0]!.entry.id));
      return { env: { SPIFFE_ENDPOINT_SOCKET: `unix://${agent.workloadApiSocket}` } };
    },
    async stop() {
      for (const act of undo.reverse()) await act();
      await stop();
    },
  };
}

function readSummary(file: string): Summary | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Summary) : undefined;
}

/** The summary stays behind when everything is killed. */
async function answers({ servers, agents }: Summary): Promise<boolean> {
  const sockets = [...servers.map(({ adminSocket }) => adminSocket), ...agents.map((agent) => agent.workloadApiSocket)];
  return (await Promise.all(sockets.map(accepts))).every(Boolean);
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Any of several serves as well. */
function anyOf<T>(found: readonly T[]): T {
  const [first] = found;
  if (first === undefined) throw new Error('the summary names none');
  return first;
}
