// Waits for the proof of a claim: as long as the policy says, by name, and never past silence.
import { ApplicationFailure } from '@temporalio/workflow';
import type {
  AuthorityKind,
  Claim,
  MissingHolder,
  ProofOutcome,
  ProofRecord,
  RotationPolicy,
} from '../../activities/trust/rotation.ts';
import type { Tier } from '../../activities/trust/topology.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { onTrust } from '../lib/calls.ts';
import type { Operator } from '../lib/operator.ts';

export interface ProverOptions {
  readonly trustDomain: string;
  readonly kind: AuthorityKind;
  readonly policy: RotationPolicy;
  readonly operator: Operator;
  readonly isPastReturn: () => boolean;
  readonly waiting: (state: {
    waitingFor: string | undefined;
    missing: readonly MissingHolder[];
    overdue: boolean;
  }) => void;
  readonly forced: (what: string) => void;
}

export interface Prover {
  /** Resolves with the record once it is proven; throws NotProven where the policy aborts. */
  prove(claim: Claim, authorityIds: readonly string[], tiers: readonly Tier[]): Promise<ProofRecord>;
  /** How it stands, without waiting, and with those whom somebody decided to go on without. */
  look(claim: Claim, authorityIds: readonly string[], tiers: readonly Tier[]): Promise<ProofOutcome>;
}

/** The first look is short, so that an operator soon sees who is missing; the later ones spare the history. */
const patience = { first: 5_000, longest: 60_000 };

export function createProver(options: ProverOptions): Prover {
  const { trustDomain, kind, policy, operator, isPastReturn, waiting, forced } = options;
  const left = new Set<string>();

  const without = (): string[] => [...new Set([...operator.without(), ...left])].sort();
  const inputOf = (claim: Claim, authorityIds: readonly string[], tiers: readonly Tier[]) => ({
    topology: { trustDomain, tiers },
    claim,
    kind,
    authorityIds,
  });

  /** Goes on without agents and downstream servers that are missing; never without a tier itself. */
  const leave = (claim: Claim, missing: readonly MissingHolder[]): boolean => {
    const leavable = missing.filter((holder) => holder.kind !== 'server');
    for (const { id, what } of leavable) {
      if (left.has(id)) continue;
      left.add(id);
      forced(`the policy left ${id} behind at the proof "${claim}": ${what}`);
    }
    return leavable.length > 0;
  };

  const atDeadline = (claim: Claim, missing: readonly MissingHolder[]): void => {
    if (policy.atDeadline === 'leave' && leave(claim, missing)) return;
    if (policy.atDeadline !== 'abort' || isPastReturn()) return;
    const names = missing.map(({ tier, id, what }) => `${id} of ${tier} (${what})`).join('; ');
    throw ApplicationFailure.create({
      type: 'NotProven',
      nonRetryable: true,
      message: `"${claim}" was not proven within ${policy.proofDeadline}: ${names}`,
      details: [missing],
    });
  };

  return {
    look: (claim, authorityIds, tiers) =>
      onTrust().waitForProof({ ...inputOf(claim, authorityIds, tiers), without: [], patienceMs: 0 }),
    async prove(claim, authorityIds, tiers) {
      const started = Date.now();
      const deadline = started + parseDuration(policy.proofDeadline);
      for (let patienceMs = patience.first; ; patienceMs = Math.min(patienceMs * 2, patience.longest)) {
        await operator.safePoint();
        const isOverdue = Date.now() >= deadline;
        const remaining = isOverdue ? patienceMs : Math.min(patienceMs, deadline - Date.now());
        const input = { ...inputOf(claim, authorityIds, tiers), without: without(), patienceMs: remaining };
        const outcome = await operator.interruptible(() => onTrust().waitForProof(input));
        if (outcome.proven) {
          waiting({ waitingFor: undefined, missing: [], overdue: false });
          const times = { startedAt: new Date(started).toISOString(), provenAt: new Date().toISOString() };
          return { ...outcome, claim, authorityIds, ...times, without: without() };
        }
        // What ends by itself has its own time, which is known.
        const hasDeadline = claim !== 'ended';
        const until = outcome.endsAt === undefined ? '' : `, until ${outcome.endsAt}`;
        const overdue = hasDeadline && Date.now() >= deadline;
        waiting({ waitingFor: `the proof "${claim}"${until}`, missing: outcome.missing, overdue });
        if (overdue) atDeadline(claim, outcome.missing);
      }
    },
  };
}
