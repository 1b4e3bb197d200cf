// Checks what an operator asks of a rotation, whole: every fault is reported, each with its place, before anything is looked at.
import { z } from 'zod';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import type { TrustDomainPlan } from '../plan.ts';
import {
  defined,
  duration,
  invalid,
  placeFaults,
  signatureFaults,
  spiffeId,
  tierNames,
  topologySchema,
} from './check-request.ts';
import type { AuthorityKind, RotationOperation, RotationPolicy, RotationRequest } from './rotation.ts';

/** An ordinary rotation waits for everybody; a compromised key is replaced at a price, which somebody has to approve. */
const defaults: Readonly<Record<'rotation' | 'emergency', RotationPolicy>> = {
  rotation: {
    proofDeadline: '30m',
    atDeadline: 'abort',
    soak: 'natural',
    agedOut: 'wait',
    approvals: 'none',
    approveActivation: false,
    approveRevocation: false,
    approvers: [],
    maxClockSkew: '5s',
  },
  emergency: {
    proofDeadline: '2m',
    atDeadline: 'leave',
    soak: 'none',
    agedOut: 'shorten',
    approvals: 'named',
    approveActivation: false,
    approveRevocation: true,
    approvers: [],
    maxClockSkew: '5s',
  },
};

const policySchema = z
  .strictObject({
    proofDeadline: duration,
    atDeadline: z.enum(['abort', 'hold', 'leave']),
    soak: z.enum(['natural', 'none']),
    agedOut: z.enum(['wait', 'shorten']),
    approvals: z.enum(['none', 'named', 'signed']),
    approveActivation: z.boolean(),
    approveRevocation: z.boolean(),
    approvers: z.array(spiffeId),
    maxClockSkew: duration,
  })
  .partial();

const requestSchema = z.strictObject({
  /** As `trust-domain.yaml` has it; or the servers themselves. */
  spec: z.unknown().optional(),
  topology: topologySchema.optional(),
  tier: z.string().optional(),
  kind: z.enum(['x509', 'jwt']).optional(),
  authorityId: z.string().optional(),
  policy: policySchema.default({}),
  dryRun: z.boolean().default(false),
  resume: z.boolean().default(false),
  requester: z.string().default(''),
  reason: z.string().default(''),
  /** Needed with a topology only: a specification says it. */
  x509SvidTtl: duration.optional(),
});

type Parsed = z.output<typeof requestSchema>;

/** Throws InvalidRequest with every fault. `planOf` makes the plan of a specification, with its own faults. */
export async function checkRotation(
  operation: RotationOperation,
  input: unknown,
  planOf: (spec: unknown) => Promise<TrustDomainPlan>,
): Promise<RotationRequest> {
  const parsed = requestSchema.safeParse(input, { reportInput: true });
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const asked = parsed.data;
  const policy = {
    ...defaults[operation === 'distrustAuthority' ? 'emergency' : 'rotation'],
    ...defined(asked.policy),
  };
  const faults = [...placeFaults(asked), ...kindFaults(operation, asked), ...policyFaults(policy, asked.requester)];
  if (faults.length > 0) throw invalid(faults);
  const plan = asked.spec === undefined ? undefined : await planOf(asked.spec);
  const names = plan === undefined ? (asked.topology?.tiers ?? []).map(({ name }) => name) : tierNames(plan);
  const tier = asked.tier ?? names[0] ?? '';
  if (!names.includes(tier)) {
    throw invalid([`tier: no tier has the name ${JSON.stringify(tier)}; there are ${names.join(', ')}`]);
  }
  const ttl = plan?.spec.ttl.x509Svid ?? asked.x509SvidTtl;
  return {
    operation,
    kind: kindOf(operation, asked),
    trustDomain: plan?.spec.trustDomain ?? asked.topology?.trustDomain ?? '',
    tier,
    policy,
    dryRun: asked.dryRun,
    resume: asked.resume,
    requester: asked.requester,
    reason: asked.reason,
    ...(asked.authorityId === undefined ? {} : { authorityId: asked.authorityId }),
    ...(plan === undefined ? { topology: asked.topology } : { plan }),
    ...(ttl === undefined ? {} : { x509SvidTtlMs: parseDuration(ttl) }),
  };
}

function kindOf(operation: RotationOperation, { kind }: Parsed): AuthorityKind {
  if (operation === 'rotateJwtAuthority') return 'jwt';
  return operation === 'distrustAuthority' ? (kind ?? 'x509') : 'x509';
}

function kindFaults(operation: RotationOperation, { kind, authorityId, resume }: Parsed): string[] {
  const isEmergency = operation === 'distrustAuthority';
  return [
    ...(kind !== undefined && !isEmergency ? [`kind: ${operation} says it already`] : []),
    ...(authorityId !== undefined && !isEmergency ? ['authorityId: only distrustAuthority names one'] : []),
    ...(resume && isEmergency ? ['resume: distrustAuthority finds by itself what has been done'] : []),
  ];
}

function policyFaults(policy: RotationPolicy, requester: string): string[] {
  const { approvals, approveActivation, approveRevocation, atDeadline, agedOut } = policy;
  const none = approvals === 'none';
  return [
    ...(none && (approveActivation || approveRevocation)
      ? ['policy.approvals: must be named or signed where an approval is asked for']
      : []),
    ...(agedOut === 'shorten' && !approveRevocation
      ? ['policy.agedOut: shorten needs approveRevocation, as it revokes what may still be in use']
      : []),
    ...(atDeadline === 'leave' && !approveRevocation
      ? ['policy.atDeadline: leave needs approveRevocation, as it locks out whoever is missing']
      : []),
    ...signatureFaults(policy, requester),
  ];
}
