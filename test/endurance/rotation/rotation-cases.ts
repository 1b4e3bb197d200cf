// A rotation by the workflow, disturbed at the boundary of each of its activities: before it does anything, and when it has done all but say so.

/** Activities of a rotation in the order in which they come; a proof is named with what it claims. */
const boundariesOf = {
  rotateX509Authority: [
    'surveyTrust',
    'ensurePrepared',
    'digestPlan',
    'waitForProof held',
    'ensureActivated',
    'ensureReissued',
    'waitForProof moved',
    'ensureTainted',
    'waitForProof tainted',
    'waitForProof ended',
    'ensureRevoked',
    'waitForProof gone',
    'writeReport',
  ],
  rotateJwtAuthority: [
    'ensurePrepared',
    'waitForProof held',
    'ensureActivated',
    'ensureTainted',
    'waitForProof ended',
    'ensureRevoked',
    'waitForProof gone',
  ],
} as const;

export type RotatedBy = keyof typeof boundariesOf;
export type Boundary = (typeof boundariesOf)[RotatedBy][number];
export const moments = ['before', 'after'] as const;
export type Moment = (typeof moments)[number];

/** The worker dies; a server dies and comes back; the activity fails once; or an operator says `abort`. */
export const disturbances = ['kill-worker', 'kill-root', 'kill-middle', 'kill-leaf', 'fail', 'abort'] as const;
export type Disturbance = (typeof disturbances)[number];

export interface RotationCase {
  readonly matrix: 'rotation';
  /** `rotation/rotateX509Authority/kill-root/before waitForProof held`. */
  readonly name: string;
  readonly operation: RotatedBy;
  readonly boundary: Boundary;
  readonly moment: Moment;
  readonly disturbance: Disturbance;
}

/** A server has no part in what the worker does alone. */
const workersOwn: readonly Boundary[] = ['digestPlan', 'writeReport'];

export const rotationCases: readonly RotationCase[] = (Object.keys(boundariesOf) as RotatedBy[]).flatMap((operation) =>
  boundariesOf[operation].flatMap((boundary: Boundary) =>
    moments.flatMap((moment) =>
      disturbances
        .filter((disturbance) => !workersOwn.includes(boundary) || !/^kill-(?!worker)/.test(disturbance))
        .map((disturbance) => ({
          matrix: 'rotation' as const,
          name: `rotation/${operation}/${disturbance}/${moment} ${boundary}`,
          operation,
          boundary,
          moment,
          disturbance,
        })),
    ),
  ),
);

/** Up to here all is taken back when somebody says `abort`; after it, that comes too late. */
export const widening: readonly Boundary[] = ['surveyTrust', 'ensurePrepared', 'digestPlan', 'waitForProof held'];
