// Waits until every tier bears out a claim, and says how things stand when the time is over. A tier that does not answer has proven nothing.
import { Context } from '@temporalio/activity';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { reasonOf } from '../failures.ts';
import { askTier } from './ask-tier.ts';
import { judgeTier } from './judge-claim.ts';
import type { TierJudgement } from './judge-claim.ts';
import type { ClaimInput, ProofOutcome } from './rotation.ts';
import type { Tier } from './topology.ts';

/** A push takes milliseconds; whoever has not followed by then polls, renews or is away. */
const pace = [
  { untilMs: 5_000, everyMs: 200 },
  { untilMs: 30_000, everyMs: 1_000 },
  { untilMs: Infinity, everyMs: 5_000 },
] as const;
/** Names in one outcome: histories are no place for thousands. */
const mostNamed = 20;

export async function waitForProof(
  source: () => Promise<X509Source>,
  { patienceMs, ...input }: ClaimInput & { readonly patienceMs: number },
  clock: () => number,
): Promise<ProofOutcome> {
  const context = Context.current();
  const started = clock();
  for (;;) {
    const outcome = await judge(source, input, clock());
    const elapsed = clock() - started;
    const { everyMs } = pace.find(({ untilMs }) => elapsed < untilMs) ?? pace[2];
    if (outcome.proven || elapsed + everyMs > patienceMs) return outcome;
    context.heartbeat(`${input.claim}: ${outcome.missing.length} missing`);
    await context.sleep(everyMs);
  }
}

async function judge(source: () => Promise<X509Source>, input: ClaimInput, now: number): Promise<ProofOutcome> {
  const judged = await Promise.all(input.topology.tiers.map((tier) => judgeOne(source, input, tier, now)));
  const missing = judged.flatMap((one) => one.missing);
  const endsAt = Math.max(0, ...judged.map((one) => one.endsAt));
  return {
    proven: judged.every(({ proof }) => proof.missing === 0),
    tiers: judged.map(({ proof }) => proof),
    missing: missing.slice(0, mostNamed),
    certificatesBelow: judged.reduce((sum, { certificatesBelow }) => sum + certificatesBelow, 0),
    ...(endsAt > now ? { endsAt: new Date(endsAt).toISOString() } : {}),
  };
}

async function judgeOne(
  source: () => Promise<X509Source>,
  { topology, claim, kind, authorityIds, without }: ClaimInput,
  tier: Tier,
  now: number,
): Promise<TierJudgement> {
  try {
    const question = { tier: tier.name, claim, kind, authorityIds, without, now };
    return await askTier(await source(), topology.trustDomain, tier, (server) => judgeTier(server, question));
  } catch (cause) {
    const what = reasonOf(cause);
    const isLeftOut = without.includes(tier.name);
    const missing = isLeftOut ? [] : [{ tier: tier.name, kind: 'server' as const, id: tier.name, what }];
    const proof = { tier: tier.name, shown: 0, drained: 0, agedOut: 0, missing: missing.length };
    return { proof, missing, certificatesBelow: 0, endsAt: 0 };
  }
}
