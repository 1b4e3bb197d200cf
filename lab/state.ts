// What the lab remembers between its starts, in one file that only its user can read. Every change is on disk before it is answered.
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyAwsState } from './aws/state.ts';
import type { AwsState } from './aws/state.ts';
import type { LinkFault } from './faults/links.ts';
import { emptyGcpState } from './gcp/state.ts';
import type { GcpState } from './gcp/state.ts';

export interface LabState {
  readonly version: 1;
  /** Second byte of the lab's addresses, 127.<network>.0.0/16; chosen at the first start. */
  network: number | undefined;
  /** Key of the sealed tokens, base64. */
  readonly sealKey: string;
  /** Number of the next machine: never used twice, so that directories and processes cannot be mistaken. */
  nextMachine: number;
  /** How far its instances are kept apart; absent in the state of labs that did not keep it: `none`. */
  isolation?: Isolation;
  /** Absent until the first is made. */
  links?: LinkFault[];
  readonly aws: AwsState;
  readonly gcp: GcpState;
}

/** `none`: instances share the machine's network, and what is said of their connections is only kept. */
export const isolations = ['none', 'namespaces'] as const;
export type Isolation = (typeof isolations)[number];

export interface StateFile {
  readonly state: LabState;
  /** Writes the state; returns when a kill cannot lose it. */
  readonly save: () => void;
}

/** `seldom`: once a second, for who can do without what is lost by a kill. */
export function openState(directory: string, written: 'at once' | 'seldom' = 'at once'): StateFile {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'state.json');
  const state = readState(file) ?? createState();
  const save = () => {
    writeFileSync(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  save();
  return { state, save: written === 'at once' ? save : seldom(save) };
}

function seldom(save: () => void): () => void {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    setTimeout(() => {
      waiting = false;
      save();
    }, 1000).unref();
  };
}

function readState(file: string): LabState | undefined {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
  const state = JSON.parse(content) as LabState;
  if ((state.version as number) !== 1) throw new Error(`${file} is of version ${String(state.version)}, want 1`);
  return state;
}

function createState(): LabState {
  return {
    version: 1,
    network: undefined,
    sealKey: randomBytes(32).toString('base64'),
    nextMachine: 1,
    aws: emptyAwsState(),
    gcp: emptyGcpState(),
  };
}
