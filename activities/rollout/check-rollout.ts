// Checks what an operator asks of a rollout, whole: every fault is reported, each with its place, before anything is looked at.
import { z } from 'zod';
import type { TrustDomainPlan } from '../plan.ts';
import { defined, duration, invalid, signatureFaults, spiffeId } from '../trust/check-request.ts';
import type { ReleasedArtifact, RollOutPolicy, RollOutRequest } from './rollout.ts';

const percent = /^(?:100|[1-9][0-9]?)%$/;
export const versionPattern = /^(\d+)\.(\d+)\.(\d+)(?:-[0-9A-Za-z.-]+)?$/;

/** One node first, a tenth of them at a time, and nobody is left without an agent in silence. */
const defaults: RollOutPolicy = {
  canary: 1,
  maxUnavailable: '10%',
  soak: '0s',
  deadline: '5m',
  mayFail: 0,
  onFailure: 'hold',
  versionSkew: 'enforce',
  approvals: 'none',
  approvers: [],
};

const policySchema = z
  .strictObject({
    canary: z.int().min(0).max(100),
    maxUnavailable: z.union([z.int().min(1).max(5000), z.string().regex(percent, 'must be a number, or 1% to 100%')]),
    soak: duration,
    deadline: duration,
    mayFail: z.int().min(0).max(5000),
    onFailure: z.enum(['hold', 'roll back']),
    versionSkew: z.enum(['enforce', 'ignore']),
    approvals: z.enum(['none', 'named', 'signed']),
    approvers: z.array(spiffeId),
  })
  .partial();

const requestSchema = z.strictObject({
  /** As `trust-domain.yaml` has it. */
  spec: z.unknown(),
  /** Names; all of them where it is left out. */
  segments: z.array(z.string()).min(1).optional(),
  /** The runtime that agents are to have; the worker's own where it is left out. */
  artifact: z
    .strictObject({
      url: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }),
      sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 digest, 64 hexadecimal digits'),
      version: z.string().regex(versionPattern, 'must be a version, such as 1.2.3'),
    })
    .optional(),
  policy: policySchema.default({}),
  dryRun: z.boolean().default(false),
  requester: z.string().default(''),
  reason: z.string().default(''),
});

export interface RollOutCheck {
  readonly planOf: (spec: unknown) => Promise<TrustDomainPlan>;
  /** Of the plan's own artifact. */
  readonly version: string;
  /** The workflow that asks. Its id is the lock: two rollouts at once would take each other's nodes back and forth. */
  readonly workflowId: string;
}

/** Throws InvalidRequest with every fault. */
export async function checkRollOut(
  input: unknown,
  { planOf, version, workflowId }: RollOutCheck,
): Promise<RollOutRequest> {
  const parsed = requestSchema.safeParse(input, { reportInput: true });
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const asked = parsed.data;
  const policy = { ...defaults, ...defined(asked.policy) };
  const plan = await planOf(asked.spec);
  const known = plan.segments.map(({ name }) => name);
  const segments = asked.segments ?? known;
  const lock = `rollOutAgents/${plan.spec.trustDomain}`;
  const faults = [
    ...(workflowId === lock
      ? []
      : [`a rollout must have the workflow id ${lock}, which keeps two of them apart: ${JSON.stringify(workflowId)}`]),
    ...signatureFaults(policy, asked.requester),
    ...segments
      .filter((name) => !known.includes(name))
      .map((name) => `segments: no segment has the name ${JSON.stringify(name)}; there are ${known.join(', ')}`),
  ];
  if (faults.length > 0) throw invalid(faults);
  const artifact: ReleasedArtifact = asked.artifact ?? { ...plan.artifact, version };
  const { dryRun, requester, reason } = asked;
  return {
    trustDomain: plan.spec.trustDomain,
    artifact,
    segments: known.filter((name) => segments.includes(name)),
    policy,
    dryRun,
    requester,
    reason,
    plan,
  };
}
