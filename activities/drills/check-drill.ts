// Checks what is asked of a drill, whole: every fault is reported, each with its place, before anything is looked at. A drill breaks things on purpose, so
// it is refused wherever they are not the lab's.
import { z } from 'zod';
import { formatDuration, parseDuration } from '../../runtime/spiffe/duration.ts';
import type { TrustDomainPlan } from '../plan.ts';
import { defined, duration, invalid, tierNames } from '../trust/check-request.ts';
import type { DrillName, DrillPolicy, DrillRequest } from './drill.ts';

interface Kind {
  /** What the subject is, and what there is of it; the first is meant where none is named. */
  readonly subjects?: (plan: TrustDomainPlan) => readonly string[];
  /** Where nothing is said; none: the lifetimes decide. */
  readonly hold?: string;
  /** Of an SVID's life, how much of it the failure may last. */
  readonly share?: number;
}

/**
 * Agents renew at half the life of their SVIDs. One that is kept from it until its SVID ends is locked out where it is trusted on first use: the failure, and
 * what a server takes to come back, must fit into the other half.
 */
const usualShare = 0.25;

const serversOf = ({ segments }: TrustDomainPlan) => segments.flatMap(({ pool }) => pool.servers);
const segmentsOf = ({ segments }: TrustDomainPlan) => segments.map(({ name }) => name);
const workloadsOf = ({ segments }: TrustDomainPlan) => segments.flatMap(({ workloads }) => workloads);
/** Those that run a workload first: there is something to see. */
const nodesOf = (plan: TrustDomainPlan) => [
  ...new Set([...workloadsOf(plan).map(({ node }) => node), ...plan.segments.flatMap(({ nodes }) => nodes)]),
];

const kinds: Readonly<Record<DrillName, Kind>> = {
  downstreamServerDown: { subjects: serversOf, hold: '1m' },
  upstreamUnreachable: { hold: '1m' },
  // An agent that is silent is known to be after three missed reports: three eighths of its SVID's life where that is short.
  agentPartition: { subjects: nodesOf, hold: '5m', share: 0.45 },
  svidExpiry: { subjects: segmentsOf },
  entryDeletion: { subjects: (plan) => workloadsOf(plan).map(({ spiffeId }) => spiffeId), hold: '1m' },
  crossPlatformTrust: { hold: '30s' },
  datastoreDown: { subjects: tierNames, hold: '1m' },
  intermediateExpiry: { subjects: segmentsOf },
};
export const drillNames = Object.keys(kinds) as DrillName[];

/** The deletion waits for it, and no act waits for longer. */
const longestLossMs = 30_000;

const policySchema = z
  .strictObject({
    hold: duration,
    mostHold: duration,
    recovery: duration,
    lookEvery: duration,
    lostWithin: duration,
    startRunbook: z.boolean(),
  })
  .partial();

const requestSchema = z.strictObject({
  /** As `trust-domain.yaml` has it. */
  spec: z.unknown(),
  drill: z.enum(drillNames),
  subject: z.string().max(2048).default(''),
  policy: policySchema.default({}),
  prometheus: z.url({ protocol: /^https?$/ }).optional(),
  dryRun: z.boolean().default(false),
  requester: z.string().default(''),
  reason: z.string().default(''),
});

const defaults: DrillPolicy = {
  hold: '1m',
  mostHold: '15m',
  recovery: '10m',
  lookEvery: '2s',
  // Twice what an agent takes to ask where the push does not reach it; half a second where machines are not busy.
  lostWithin: '10s',
  startRunbook: true,
};

/** Throws InvalidRequest with every fault. */
export async function checkDrill(
  input: unknown,
  planOf: (spec: unknown) => Promise<TrustDomainPlan>,
): Promise<DrillRequest> {
  const parsed = requestSchema.safeParse(input, { reportInput: true });
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const { spec, drill, subject: named, policy: asked, ...others } = parsed.data;
  const plan = await planOf(spec);
  const kind = kinds[drill];
  const subjects = kind.subjects?.(plan) ?? [];
  const subject = named === '' ? (subjects[0] ?? '') : named;
  const policy = { ...defaults, hold: usualHold(kind, plan), ...defined(asked) };
  const faults = [
    ...(plan.spec.infrastructure === 'lab'
      ? []
      : [`spec.infrastructure: a drill breaks things on purpose, and only the lab's: "${plan.spec.infrastructure}"`]),
    ...(subject === '' || subjects.includes(subject) ? [] : [subjectFault(drill, subject, subjects)]),
    ...(new Set(plan.segments.filter(({ workloads }) => workloads.length > 0).map(({ cloud }) => cloud)).size < 2
      ? ['spec.workloads: a drill is judged by workloads of two clouds that meet, and there are none']
      : []),
    ...(parseDuration(policy.lostWithin) <= longestLossMs
      ? []
      : [`policy.lostWithin: at most ${formatDuration(longestLossMs)}: "${policy.lostWithin}"`]),
    ...(kind.hold === undefined ? longFaults(drill, plan, policy, subject) : holdFaults(kind, plan, policy)),
  ];
  if (faults.length > 0) throw invalid(faults);
  return { plan, drill, subject, policy, ...others };
}

function usualHold(kind: Kind, plan: TrustDomainPlan): string {
  const { hold = defaults.hold } = kind;
  const most = mostOf(kind, plan);
  return parseDuration(hold) <= most ? hold : formatDuration(most);
}

function mostOf({ share = usualShare }: Kind, { spec }: TrustDomainPlan): number {
  return Math.floor((parseDuration(spec.ttl.x509Svid) * share) / 1000) * 1000;
}

function subjectFault(drill: DrillName, subject: string, subjects: readonly string[]): string {
  const there = subjects.length === 0 ? 'it has none' : `there are ${subjects.slice(0, mostNamed).join(', ')}`;
  return `subject: ${drill} knows no ${JSON.stringify(subject)}: ${there}`;
}

const mostNamed = 20;

function holdFaults(kind: Kind, plan: TrustDomainPlan, { hold }: DrillPolicy): string[] {
  const most = mostOf(kind, plan);
  if (parseDuration(hold) <= most) return [];
  const { x509Svid } = plan.spec.ttl;
  return [`policy.hold: with ttl.x509Svid ${x509Svid} at most ${formatDuration(most)}, or agents are locked out: "${hold}"`]; // prettier-ignore
}

function longFaults(drill: DrillName, plan: TrustDomainPlan, { mostHold }: DrillPolicy, subject: string): string[] {
  const segment = plan.segments.find(({ name }) => name === subject);
  const life = drill === 'svidExpiry' ? plan.spec.ttl.x509Svid : (segment?.pool.caTtl ?? '0s');
  if (parseDuration(life) <= parseDuration(mostHold)) return [];
  return [`policy.mostHold: ${drill} keeps the failure up until what was issued has ended, up to ${life}: "${mostHold}"`]; // prettier-ignore
}
