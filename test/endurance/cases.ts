// The matrix: every kind of fault in every phase of a bootstrap.
import { createChance } from './random.ts';

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

export interface Case {
  /** `kill-everything/agents`. */
  readonly name: string;
  readonly fault: Fault;
  readonly phase: Phase;
}

export const allCases: readonly Case[] = phases.flatMap((phase) =>
  faults.map((fault) => ({ name: `${fault}/${phase}`, fault, phase })),
);

/** A few cases for a short run, of as many kinds and phases as there are places. */
export function sampleCases(seed: number, size: number): Case[] {
  const chance = createChance(seed, 'sample');
  const kinds = chance.shuffle(faults);
  const moments = chance.shuffle(phases);
  const sample: Case[] = [];
  for (let index = 0; sample.length < Math.min(size, allCases.length); index += 1) {
    const fault = kinds[index % kinds.length];
    const phase = moments[(index + Math.floor(index / allCases.length)) % moments.length];
    const found = allCases.find((candidate) => candidate.fault === fault && candidate.phase === phase);
    if (found !== undefined && !sample.includes(found)) sample.push(found);
  }
  return sample;
}
