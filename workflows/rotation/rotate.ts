// Replaces the authorities of a tier, with proof before every narrowing step: trust is widened, shown to be held, used, and only then narrowed. Up to the
// point of no return everything is undone when something fails; after it the change only goes forward.
import { ApplicationFailure, CancellationScope, sleep, workflowInfo } from '@temporalio/workflow';
import type {
  MissingHolder,
  ProofRecord,
  Replacement,
  RotationReport,
  RotationRequest,
  Survey,
} from '../../activities/trust/rotation.ts';
import type { Topology } from '../../activities/trust/topology.ts';
import { onTrust, onTrustOnce } from '../lib/calls.ts';
import { rootMessage } from '../lib/failure-message.ts';
import { listenToOperator } from '../lib/operator.ts';
import { changeAhead } from '../lib/progress.ts';
import type { ChangeProgress, ProgressKeeper } from '../lib/progress.ts';
import { saga, settleAll } from '../lib/saga.ts';
import type { Undo } from '../lib/saga.ts';
import { createProver } from './prove.ts';
import { scopeOf } from './scope.ts';
import type { RotationScope } from './scope.ts';
import { blockersOf, targetsOf } from './targets.ts';
import type { Target } from './targets.ts';

export const rotationPhases = [
  'check',
  'prepare',
  'proof: held',
  'approval: activation',
  'activate',
  're-issue',
  'proof: moved',
  'taint',
  'proof: tainted',
  'proof: ended',
  'approval: revocation',
  'revoke',
  'proof: gone',
] as const;
type Phase = (typeof rotationPhases)[number];

export interface KeptReport extends RotationReport {
  /** Where the worker wrote it. */
  readonly file: string;
}

export async function rotate(
  request: RotationRequest,
  topology: Topology,
  progress: ProgressKeeper,
): Promise<KeptReport> {
  const { operation, trustDomain, policy, kind, requester } = request;
  const startedAt = new Date().toISOString();
  const [proofs, forced, notes] = [[] as ProofRecord[], [] as string[], [] as string[]];
  let change = changeAhead({ operation, tier: request.tier });
  const tell = (news: Partial<ChangeProgress>): void => {
    change = { ...change, ...news, paused: operator.isPaused(), notes: [...notes, ...forced].slice(-20) };
    progress.changed(change);
  };
  const note = (text: string): void => {
    notes.push(text);
    tell({});
  };
  const operator = listenToOperator({
    planDigest: () => change.planDigest,
    gates: ['activation', 'revocation'],
    verify: (approval) => onTrustOnce().verifyApproval({ trustDomain, approval, policy, requester }),
    note,
    changed: () => tell({}),
  });
  const prover = createProver({
    trustDomain,
    kind,
    policy,
    operator,
    isPastReturn: () => change.pointOfNoReturn === 'passed',
    waiting: tell,
    forced: (what) => void forced.push(what),
  });
  const phase = async <T>(name: Phase, act: () => Promise<T>): Promise<T> => {
    await operator.safePoint();
    return progress.phase(name, act);
  };
  const skip = (...names: readonly Phase[]): void => names.forEach((name) => progress.skip(name));
  const approval = async (gate: 'activation' | 'revocation', isWanted: boolean): Promise<void> => {
    if (!isWanted) return skip(`approval: ${gate}`);
    await phase(`approval: ${gate}`, async () => {
      tell({ waitingFor: `approval of the ${gate}` });
      await operator.approved(gate);
      tell({ waitingFor: undefined });
    });
  };
  const on = (target: Pick<Target, 'tier' | 'server'>) => ({
    trustDomain,
    kind,
    tier: target.tier,
    server: target.server,
  });

  // 1. Nothing is begun on a fleet that is not well.
  const { scope, targets, survey } = await phase('check', () => check(request, topology, note));

  // 2 to 4. Trust is widened, and shown to be: all of this can be undone.
  const replaced = await saga(async (undo) => {
    const prepared = await phase('prepare', () => prepare(targets, undo));
    const ids = scope.idsOf(prepared);
    refuseSameRoot(scope, ids);
    const planDigest = await onTrust().digestPlan({
      trustDomain,
      operation,
      oldAuthorityIds: ids.old,
      newAuthorityIds: ids.new,
      tiers: topology.tiers.map(({ name }) => name),
      policy,
    });
    tell({ planDigest });
    await prove('held', ids.new);
    await approval('activation', policy.approveActivation);
    await operator.safePoint();
    return prepared;
  }, progress.undoing);

  // POINT OF NO RETURN: an authority that was replaced cannot be activated again. A cancellation is no longer heard; `pause` and an emergency are.
  operator.passPointOfNoReturn();
  tell({ pointOfNoReturn: 'passed' });
  return CancellationScope.nonCancellable(() => goForward(replaced));

  async function prepare(wanted: readonly Target[], undo: Undo): Promise<Replacement[]> {
    const { ensurePrepared, withdrawPrepared } = onTrust();
    return settleAll(
      wanted.map(async (target) => {
        const { tier, server, old, notAmong } = target;
        if (target.new !== undefined) return { tier, server, old, new: target.new };
        const input = { ...on(target), notAmong };
        undo({
          name: `prepared ${kind} authority of ${server.name}`,
          run: async () => note(`${server.name}: ${await withdrawPrepared(input)}`),
        });
        const fresh = await operator.interruptible(() => ensurePrepared(input));
        return { tier, server, old, new: fresh };
      }),
    );
  }

  async function prove(claim: 'held' | 'moved' | 'tainted' | 'ended' | 'gone', ids: readonly string[]): Promise<void> {
    const tiers = scope.tiersOf(claim);
    if (tiers === undefined || ids.length === 0) return skip(`proof: ${claim}`);
    await phase(`proof: ${claim}`, async () => proofs.push(await prover.prove(claim, ids, tiers)));
  }

  /** What must not be left half done is tried until it is done; a person sees why it is not. */
  async function insist<T>(what: string, act: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await act();
      } catch (cause) {
        note(`${what} failed and is tried again in a minute, or at "resume": ${rootMessage(cause)}`);
        await operator.attention();
      }
    }
  }

  async function goForward(done: readonly Replacement[]): Promise<KeptReport> {
    const ids = scope.idsOf(done);
    // 5. Everybody accepts the new ones: they may sign.
    const below = scope.tiersOf('moved');
    const svidsReissued = below === undefined ? 0 : (await prover.look('moved', ids.old, below)).certificatesBelow;
    await phase('activate', () =>
      settleAll(
        done.map((one) =>
          insist(`activation at ${one.server.name}`, () =>
            onTrust().ensureActivated({ ...on(one), authorityId: one.new.authorityId }),
          ),
        ),
      ),
    );
    await reissue(ids.old);
    if (policy.soak === 'natural') await prove('moved', ids.old);
    else skip('proof: moved');
    if (scope.narrowing === 'none') {
      skip('taint', 'proof: tainted', 'proof: ended', 'approval: revocation', 'revoke', 'proof: gone');
      note(`bundles never held ${ids.old.join(', ')}: SVIDs that nobody can be asked about end by themselves`);
      return report(done, svidsReissued, []);
    }
    // 6. Narrowing, a step at a time.
    await narrow('taint', done, ids.old);
    await prove('tainted', ids.old);
    if (policy.agedOut === 'wait') await prove('ended', ids.old);
    else {
      skip('proof: ended');
      forced.push('the policy did not wait until what nobody can be asked about had ended');
    }
    await approval('revocation', policy.approveRevocation);
    const broken = await stillBelow(ids.old);
    await narrow('revoke', done, ids.old);
    await prove('gone', ids.old);
    return report(done, svidsReissued, broken);
  }

  async function reissue(oldRoots: readonly string[]): Promise<void> {
    if (scope.reissued.length === 0) return skip('re-issue');
    const notUnder = scope.narrowing === 'none' ? [] : oldRoots;
    await phase('re-issue', async () => {
      for (const tier of scope.reissued) {
        const known = survey.authorities.filter((one) => one.tier === tier.name);
        await settleAll(
          known.map(({ server, active, prepared }) =>
            insist(`the new intermediate CA of ${server.name}`, () =>
              onTrust().ensureReissued({
                ...on({ tier: tier.name, server }),
                before: [active, ...(prepared === undefined ? [] : [prepared])].map(({ authorityId }) => authorityId),
                notUnder,
              }),
            ),
          ),
        );
      }
    });
  }

  async function narrow(
    act: 'taint' | 'revoke',
    done: readonly Replacement[],
    oldIds: readonly string[],
  ): Promise<void> {
    const { ensureTainted, ensureRevoked } = onTrust();
    const ensure = act === 'taint' ? ensureTainted : ensureRevoked;
    const upstream = scope.narrowing === 'upstream';
    const [first] = done;
    // All servers of the tier stand under the upstream's authority, and any of them acts for all.
    const acts =
      upstream && first !== undefined
        ? oldIds.map((authorityId) => ({ ...on(first), authorityId, upstream }))
        : done.map((one) => ({ ...on(one), authorityId: one.old.authorityId, upstream }));
    await phase(act, async () => {
      for (const input of acts) {
        await insist(`${act} of ${input.authorityId} at ${input.server.name}`, () => ensure(input));
      }
    });
  }

  /** Whoever still hangs on what is about to be revoked will be refused by everybody else. */
  async function stillBelow(oldIds: readonly string[]): Promise<readonly MissingHolder[]> {
    const tiers = scope.tiersOf('moved');
    return tiers === undefined ? [] : (await prover.look('moved', oldIds, tiers)).missing;
  }

  async function report(
    done: readonly Replacement[],
    svidsReissued: number,
    broken: readonly MissingHolder[],
  ): Promise<KeptReport> {
    const { reason, tier } = request;
    const told: RotationReport = {
      operation,
      trustDomain,
      tier,
      requester,
      reason,
      planDigest: change.planDigest ?? '',
      policy,
      startedAt,
      endedAt: new Date().toISOString(),
      replaced: done.map((one) => ({
        tier: one.tier,
        server: one.server.name,
        old: one.old.authorityId,
        new: one.new.authorityId,
      })),
      proofs,
      approvals: operator.approvals(),
      svidsReissued,
      forced,
      broken,
      notes,
    };
    const name = `${operation} ${trustDomain} ${startedAt} ${workflowInfo().runId}`;
    return { ...told, file: await onTrust().writeReport({ name, report: told }) };
  }
}

/** Looks twice where something is in the way: a fleet that was told of a change a moment ago settles. */
async function check(
  request: RotationRequest,
  topology: Topology,
  note: (text: string) => void,
): Promise<{ readonly scope: RotationScope; readonly targets: readonly Target[]; readonly survey: Survey }> {
  const look = () => onTrustOnce().surveyTrust({ topology, request });
  let survey = await look();
  if (blockersOf(request, survey).length > 0) {
    await sleep('3 seconds');
    survey = await look();
  }
  const blockers = blockersOf(request, survey);
  if (blockers.length > 0 && request.operation !== 'distrustAuthority') {
    throw ApplicationFailure.create({
      type: 'Blocked',
      nonRetryable: true,
      message: `nothing was changed: ${blockers.map(({ tier, what }) => `tier ${tier}: ${what}`).join('; ')}`,
      details: [blockers],
    });
  }
  for (const { tier, what } of survey.findings) note(`tier ${tier}: ${what}`);
  return {
    scope: scopeOf(request, topology, survey.authorities),
    targets: targetsOf(request, survey.authorities),
    survey,
  };
}

/** Somebody has to have given the upstream its new CA before. */
function refuseSameRoot(
  { narrowing }: RotationScope,
  ids: { readonly old: readonly string[]; readonly new: readonly string[] },
): void {
  if (narrowing !== 'upstream') return;
  const same = ids.new.filter((id) => ids.old.includes(id));
  if (same.length === 0 && ids.new.length > 0) return;
  throw ApplicationFailure.create({
    type: 'Blocked',
    nonRetryable: true,
    message: `the upstream authority still signs under ${same.join(', ') || 'no root of its own'}: give it its new CA first`,
  });
}
