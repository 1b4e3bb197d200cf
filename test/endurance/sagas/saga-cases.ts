// Workflows of every kind, disturbed at each of their activities: it fails once before it does anything, or once when it has done all but say so; the worker
// forgets everything after each step; the worker’s process is killed there, before or after; a second operator asks for the same meanwhile. What comes of it is
// what comes of the undisturbed run, or nothing.
import { runbookStories } from '../../support/runbook-stories.ts';
import { domainStories } from './domain-stories.ts';
import { otherStories } from './other-stories.ts';

const disturbances = ['fails before', 'fails after', 'forgets', 'killed before', 'killed after', 'two'] as const;
export type SagaDisturbance = (typeof disturbances)[number];

export interface SagaCase {
  readonly matrix: 'sagas';
  /** `sagas/datastoreLost/fails after`, `sagas/bootstrapTrustDomain/killed after, 2 of 3`. */
  readonly name: string;
  readonly story: string;
  readonly disturbance: SagaDisturbance;
  /** Of those that take long: each has every nth of the activities. */
  readonly part: { readonly index: number; readonly of: number };
}

/** A case takes half a minute: so many parts has each disturbance of a story of that name. */
const parts: readonly { readonly of: RegExp; readonly failing: number; readonly killed: number }[] = [
  { of: /^(bootstrap|update)/, failing: 3, killed: 6 },
  { of: /^(rotate|distrust|tearDown|rollOut)/, failing: 1, killed: 3 },
  { of: /anew$/, failing: 3, killed: 6 },
  { of: /^scanExpiry/, failing: 1, killed: 1 },
  { of: /./, failing: 1, killed: 2 },
];

function partsOf(story: string, disturbance: SagaDisturbance): number {
  const { failing = 1, killed = 1 } = parts.find(({ of }) => of.test(story)) ?? {};
  if (disturbance.startsWith('killed')) return killed;
  return disturbance.startsWith('fails') ? failing : 1;
}

const stories: readonly { readonly name: string; readonly lockedAt?: string | undefined }[] = [
  ...runbookStories.map(({ runbook }) => ({ name: runbook })),
  ...otherStories,
  ...domainStories,
];

export const sagaCases: readonly SagaCase[] = stories.flatMap(({ name: story, lockedAt }) =>
  disturbances
    .filter((disturbance) => disturbance !== 'two' || lockedAt !== undefined)
    .flatMap((disturbance) => {
      const of = partsOf(story, disturbance);
      return Array.from({ length: of }, (_, index) => ({
        matrix: 'sagas' as const,
        name: `sagas/${story}/${disturbance}${of === 1 ? '' : `, ${index + 1} of ${of}`}`,
        story,
        disturbance,
        part: { index, of },
      }));
    }),
);
