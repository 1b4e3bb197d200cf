// Checks what is asked of a runbook, whole: every fault is reported, each with its place, before anything is looked at.
import { z } from 'zod';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import type { TrustDomainPlan } from '../plan.ts';
import {
  defined,
  duration,
  invalid,
  isSpiffeId,
  placeFaults,
  signatureFaults,
  spiffeId,
  tierNames,
  topologySchema,
} from '../trust/check-request.ts';
import type { RunbookPolicy, RunbookRequest } from './runbook.ts';

export const alertSchema = z.strictObject({
  status: z.enum(['firing', 'resolved']),
  name: z.string().min(1),
  fingerprint: z.string().min(1),
  startsAt: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  summary: z.string().default(''),
});

const policySchema = z
  .strictObject({
    deadline: duration,
    lookEvery: duration,
    mayAct: z.boolean(),
    approvals: z.enum(['none', 'named', 'signed']),
    approvers: z.array(spiffeId),
  })
  .partial();

const requestSchema = z.strictObject({
  /** As `trust-domain.yaml` has it; or the servers themselves. */
  spec: z.unknown().optional(),
  topology: topologySchema.optional(),
  subject: z.string().max(2048).default(''),
  tier: z.string().optional(),
  policy: policySchema.default({}),
  requester: z.string().default(''),
  reason: z.string().default(''),
  alert: alertSchema.optional(),
});

/** Nobody is there at night: what is safe is done, what is not is asked for. */
const defaults: RunbookPolicy = {
  deadline: '30m',
  lookEvery: '15s',
  mayAct: true,
  approvals: 'named',
  approvers: [],
};

const defaultsOf: Readonly<Record<string, Partial<RunbookPolicy>>> = {
  evictAndReattest: { deadline: '10m' },
};

/** They let somebody in who was kept out. */
const evicting = ['evictAndReattest', 'agentUnreachable'];

/** For as long as an agent is evicted, whoever has a copy of its instance's document may attest in its place. */
const widestWindow = '15m';

/** What the subject of a runbook is. */
const subjectOf: Readonly<Record<string, 'server' | 'tier' | 'agent' | 'node' | 'domain'>> = {
  downstreamServerDown: 'server',
  downstreamClusterDown: 'tier',
  upstreamUnreachable: 'domain',
  intermediateRenewalFailing: 'tier',
  datastoreFailover: 'tier',
  datastoreLost: 'tier',
  agentCrashLoop: 'agent',
  agentUnreachable: 'agent',
  massAgentFailure: 'tier',
  agentSvidNearExpiry: 'agent',
  containNode: 'agent',
  registrationEntryDrop: 'tier',
  unplannedCaRotation: 'tier',
  overlayTunnelDown: 'domain',
  evictAndReattest: 'node',
  snapshotTrust: 'domain',
};

/** What no alert starts. */
const byHand = ['snapshotTrust', 'evictAndReattest'];

export const runbookNames: readonly string[] = Object.keys(subjectOf).filter((name) => !byHand.includes(name));

/** Throws InvalidRequest with every fault. `planOf` makes the plan of a specification, with its own faults. */
export async function checkRunbook(
  runbook: string,
  input: unknown,
  planOf: (spec: unknown) => Promise<TrustDomainPlan>,
): Promise<RunbookRequest> {
  const parsed = requestSchema.safeParse(input, { reportInput: true });
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const asked = parsed.data;
  const policy = { ...defaults, ...defaultsOf[runbook], ...defined(asked.policy) };
  const faults = [
    ...placeFaults(asked),
    ...signatureFaults(policy, asked.requester),
    ...(evicting.includes(runbook) && policy.approvals === 'none'
      ? [`policy.approvals: ${runbook} evicts nobody without an approval`]
      : []),
    ...(runbook === 'evictAndReattest' ? windowFaults(policy) : []),
  ];
  if (faults.length > 0) throw invalid(faults);
  const plan = asked.spec === undefined ? undefined : await planOf(asked.spec);
  const tiers = plan === undefined ? (asked.topology?.tiers ?? []).map(({ name }) => name) : tierNames(plan);
  const tier = tierOf(runbook, asked, tiers);
  if (tier !== undefined && !tiers.includes(tier))
    throw invalid([`tier: no tier has the name ${JSON.stringify(tier)}; there are ${tiers.join(', ')}`]);
  if (subjectOf[runbook] === 'agent' && !isSpiffeId(asked.subject))
    throw invalid([`subject: ${runbook} is about an agent and needs its SPIFFE ID: ${JSON.stringify(asked.subject)}`]);
  if (subjectOf[runbook] === 'server') checkServer(runbook, asked, plan);
  if (subjectOf[runbook] === 'node') checkNode(runbook, asked.subject, plan);
  const { subject, requester, reason, alert } = asked;
  return {
    trustDomain: plan?.spec.trustDomain ?? asked.topology?.trustDomain ?? '',
    subject,
    policy,
    requester,
    reason,
    ...(tier === undefined ? {} : { tier }),
    ...(alert === undefined ? {} : { alert }),
    ...(plan === undefined ? { topology: asked.topology } : { plan }),
  };
}

/** Of a runbook about a tier the subject is the tier's name. */
function tierOf(runbook: string, { subject, tier }: z.output<typeof requestSchema>, tiers: readonly string[]) {
  if (subjectOf[runbook] !== 'tier' || tier !== undefined) return tier;
  if (subject !== '') return subject;
  throw invalid([`subject: ${runbook} is about a tier and must name one of ${tiers.join(', ')}`]);
}

function checkServer(runbook: string, { subject, topology }: z.output<typeof requestSchema>, plan?: TrustDomainPlan) {
  const pools = plan === undefined ? [] : [plan.upstream, ...plan.segments.map(({ pool }) => pool)];
  const names = [
    ...(topology?.tiers ?? []).flatMap(({ servers }) => servers.map(({ name }) => name)),
    ...pools.flatMap(({ servers }) => servers),
  ];
  if (!names.includes(subject))
    throw invalid([
      `subject: ${runbook} is about a server, and none has the name ${JSON.stringify(subject)}; there are ${names.join(', ')}`,
    ]);
}

function checkNode(runbook: string, subject: string, plan: TrustDomainPlan | undefined): void {
  if (plan === undefined) throw invalid([`spec: ${runbook} asks the node's cloud, which only a specification names`]);
  if (!plan.segments.some(({ nodes }) => nodes.includes(subject)))
    throw invalid([`subject: ${runbook} is about a node, and none has the name ${JSON.stringify(subject)}`]);
}

function windowFaults({ deadline }: RunbookPolicy): string[] {
  if (parseDuration(deadline) <= parseDuration(widestWindow)) return [];
  return [`policy.deadline: the way in is open that long, ${widestWindow} at most: ${JSON.stringify(deadline)}`];
}
