// The commands of espalier-node: what a boot script needs of its cloud and of the server that it starts. Each prints its result and nothing else.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseFlags } from '../cli/flags.ts';
import { followAuthorityFiles, writeAuthorityFiles } from './authority-files.ts';
import { clouds, createCloudNode } from './cloud-node.ts';
import type { Cloud, CloudNodeDeps } from './cloud-node.ts';
import { followInstructions } from './instructions.ts';
import { retry } from './retry.ts';
import { writeSecret } from './write-secret.ts';

export interface CommandDeps extends CloudNodeDeps {
  readonly clock: () => number;
  readonly print: (line: string) => void;
  /** Said on standard error. */
  readonly note: (line: string) => void;
  /** Ends what would go on; the process's own end does where it is left out. */
  readonly signal?: AbortSignal;
}

type Command = (argv: readonly string[], deps: CommandDeps) => Promise<void>;

/** The command line is not what it must be. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

const cloudFlag = { kind: 'string', help: `the machine's cloud: ${clouds.join(' or ')}` } as const;
const timeoutFlag = { kind: 'duration', default: 60_000, help: 'how long to keep trying' } as const;
const pauseMs = 1_000;

export const commands: ReadonlyMap<string, Command> = new Map([
  ['address', printAddress],
  ['secret', fetchSecret],
  ['authority', keepAuthority],
  ['bundle-digest', printBundleDigest],
  ['wait-ready', waitReady],
  ['instructions', obeyInstructions],
]);

async function printAddress(argv: readonly string[], deps: CommandDeps): Promise<void> {
  const { values } = parseFlags(argv, { cloud: cloudFlag, timeout: timeoutFlag });
  const node = createCloudNode(cloudOf(values.cloud), deps);
  deps.print((await persist(() => node.address(), values.timeout, deps)).trim());
}

async function fetchSecret(argv: readonly string[], deps: CommandDeps): Promise<void> {
  const { values } = parseFlags(argv, {
    cloud: cloudFlag,
    name: { kind: 'string', help: 'name of the secret' },
    file: { kind: 'string', help: 'file to write, readable by its owner only' },
    timeout: timeoutFlag,
  });
  const node = createCloudNode(cloudOf(values.cloud), deps);
  const name = required('name', values.name);
  const file = required('file', values.file);
  await writeSecret(file, await persist(() => node.secret(name), values.timeout, deps));
}

async function keepAuthority(argv: readonly string[], deps: CommandDeps): Promise<void> {
  const { values } = parseFlags(argv, {
    cloud: cloudFlag,
    prefix: { kind: 'string', help: 'what the names of its secrets begin with' },
    directory: { kind: 'string', help: 'where its files are written, readable by their owner only' },
    every: { kind: 'duration', default: 0, help: 'goes on, and looks so often whether a secret has changed' },
    timeout: timeoutFlag,
  });
  const node = createCloudNode(cloudOf(values.cloud), deps);
  const files = {
    secret: (name: string) => node.secret(name),
    prefix: required('prefix', values.prefix),
    directory: required('directory', values.directory),
  };
  await persist(() => writeAuthorityFiles(files), values.timeout, deps);
  const { signal = new AbortController().signal, note } = deps;
  if (values.every > 0) await followAuthorityFiles(files, { everyMs: values.every, signal, note });
}

async function printBundleDigest(argv: readonly string[], deps: CommandDeps): Promise<void> {
  const { values } = parseFlags(argv, {
    socket: { kind: 'string', help: "the server's private socket" },
    timeout: timeoutFlag,
  });
  const socket = required('socket', values.socket);
  const { bundleDigests } = await import('./bundle-digest.ts'); // the other commands start without gRPC
  const lines = await persist(() => bundleDigests(socket), values.timeout, deps);
  for (const line of lines) deps.print(line);
}

async function waitReady(argv: readonly string[], deps: CommandDeps): Promise<void> {
  const { values } = parseFlags(argv, {
    url: { kind: 'string', help: 'answers 200 when ready' },
    timeout: timeoutFlag,
  });
  const url = required('url', values.url);
  if (!URL.canParse(url)) throw new UsageError(`flag -url: ${JSON.stringify(url)} is not a URL`);
  const end = deps.clock() + values.timeout;
  for (let reason = ''; ; await sleep(pauseMs / 4)) {
    if (deps.clock() >= end) throw new Error(`${url} is not ready: ${reason}`);
    reason = await notReadyBecause(url, deps);
    if (reason === '') return;
  }
}

async function obeyInstructions(argv: readonly string[], deps: CommandDeps): Promise<void> {
  const { values } = parseFlags(argv, {
    cloud: cloudFlag,
    directory: { kind: 'string', help: 'where the script and its end are kept' },
  });
  if (cloudOf(values.cloud) !== 'gcp') throw new UsageError('flag -cloud: AWS runs instructions by its own agent');
  const { signal = new AbortController().signal } = deps;
  await followInstructions({ ...deps, directory: required('directory', values.directory), signal });
}

/** Empty when ready. */
async function notReadyBecause(url: string, { fetch }: CommandDeps): Promise<string> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(5_000) });
    await response.body?.cancel();
    return response.ok ? '' : `status ${response.status}`;
  } catch (cause) {
    return reasonOf(cause);
  }
}

function persist<T>(attempt: () => Promise<T>, timeoutMs: number, { clock, note }: CommandDeps): Promise<T> {
  let said = '';
  const onFailure = (cause: unknown): void => {
    const reason = reasonOf(cause);
    if (reason !== said) note(`not yet: ${reason}`);
    said = reason;
  };
  return retry(attempt, { timeoutMs, pauseMs, clock, onFailure });
}

/** The reason that a person can act on: fetch keeps it in the cause. */
export function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  return cause.cause instanceof Error && cause.cause.message !== ''
    ? `${cause.message}: ${cause.cause.message}`
    : cause.message;
}

function cloudOf(text: string | undefined): Cloud {
  const cloud = clouds.find((known) => known === text);
  if (cloud === undefined) throw new UsageError(`flag -cloud must be one of ${clouds.join(', ')}`);
  return cloud;
}

function required(name: string, value: string | undefined): string {
  if (value === undefined || value === '') throw new UsageError(`flag -${name} is required`);
  return value;
}
