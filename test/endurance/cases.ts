// The matrices. Of the bootstrap: every kind of fault in every phase. Of the servers’ authorities, of rotations, of sagas, of the database, of agents and of
// abuse: see their folders.
import { abuseCases } from './abuse/abuse-cases.ts';
import type { AbuseCase } from './abuse/abuse-cases.ts';
import { cutCases } from './cuts/cut-cases.ts';
import type { CutCase } from './cuts/cut-cases.ts';
import { agentCases } from './agents/agent-cases.ts';
import type { AgentCase } from './agents/agent-cases.ts';
import { createChance } from './random.ts';
import { rotationCases } from './rotation/rotation-cases.ts';
import type { RotationCase } from './rotation/rotation-cases.ts';
import { sagaCases } from './sagas/saga-cases.ts';
import type { SagaCase } from './sagas/saga-cases.ts';
import { authorityCases } from './tiers/authority-cases.ts';
import type { AuthorityCase } from './tiers/authority-cases.ts';

export const phases = [
  'plan',
  'infrastructure',
  'upstream',
  'downstream',
  'agents',
  'entries',
  'workloads',
  'validation',
] as const;
export type Phase = (typeof phases)[number];

/** By what happens to the run; see faults.ts. */
export const faults = ['kill-one-worker', 'kill-all-workers', 'kill-everything', 'interrupt', 'down'] as const;
export type Fault = (typeof faults)[number];

/** Each has one worker; named as in workers/activities.ts. */
export const queues = ['control', 'aws', 'gcp'] as const;

export interface BootstrapCase {
  readonly matrix: 'bootstrap';
  /** `kill-everything/agents`. */
  readonly name: string;
  readonly fault: Fault;
  readonly phase: Phase;
}

export type Case = BootstrapCase | AuthorityCase | RotationCase | SagaCase | CutCase | AgentCase | AbuseCase;
export type Matrix = Case['matrix'];

const bootstrapCases: readonly BootstrapCase[] = phases.flatMap((phase) =>
  faults.map((fault) => ({ matrix: 'bootstrap', name: `${fault}/${phase}`, fault, phase })),
);

export const matrices: Readonly<Record<Matrix, readonly Case[]>> = {
  bootstrap: bootstrapCases,
  authority: authorityCases,
  rotation: rotationCases,
  sagas: sagaCases,
  database: cutCases,
  agent: agentCases,
  abuse: abuseCases,
};
export const allCases: readonly Case[] = Object.values(matrices).flat();

/** A few cases of a matrix for a short run; of the bootstrap, of as many kinds and phases as there are places. */
export function sampleCases(seed: number, size: number, matrix: Matrix): readonly Case[] {
  const chance = createChance(seed, 'sample');
  if (matrix !== 'bootstrap') return chance.shuffle(matrices[matrix]).slice(0, size);
  const kinds = chance.shuffle(faults);
  const moments = chance.shuffle(phases);
  const sample: Case[] = [];
  for (let index = 0; sample.length < Math.min(size, bootstrapCases.length); index += 1) {
    const fault = kinds[index % kinds.length];
    const phase = moments[(index + Math.floor(index / bootstrapCases.length)) % moments.length];
    const found = bootstrapCases.find((candidate) => candidate.fault === fault && candidate.phase === phase);
    if (found !== undefined && !sample.includes(found)) sample.push(found);
  }
  return sample;
}
