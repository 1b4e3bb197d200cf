// Puts a new agent on nodes that run, in waves: a few canaries, then as many as may be without their agent at once, each wave gated on what the fleet says of
// it. The clouds' labels say what is on a node, so a run that ends anywhere is gone on with by the next one, which finds what is left.
import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  defineSignal,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { FailedNode, FoundNodes, RollOutReport } from '../../activities/rollout/rollout.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { onNodes, onTrust, onTrustOnce } from '../lib/calls.ts';
import { listenToOperator } from '../lib/operator.ts';
import { nameTrustDomain } from '../lib/progress.ts';
import { required } from '../lib/required.ts';
import { admitCommands, beginRollOut, refuseBlocked } from './begin.ts';
import type { RollOutState } from './begin.ts';
import { defineRollOutProgress, showRollOut } from './rollout-progress.ts';
import type { RollOutProgress } from './rollout-progress.ts';
import { changeWave, seeWave } from './wave.ts';
import { canariesOf, mostUnavailable, plannedWaves, shareOut, sum } from './waves.ts';

/** Puts back, on every node that this rollout changed, what was there before. */
export const rollBackSignal = defineSignal<[string?]>('rollBack');

export interface KeptRollOutReport extends RollOutReport {
  /** Where the worker wrote it; empty for a dry run. */
  readonly file: string;
}

interface Continued {
  readonly continued: RollOutState;
}

/** Well inside what Temporal keeps of one run. */
const mostEvents = 4_000;
const mostWavesInARun = 40;
const mostNamed = 200;

export async function rollOutInWaves(asked: unknown): Promise<KeptRollOutReport> {
  const before = isContinued(asked) ? asked.continued : undefined;
  let progress: RollOutProgress = {
    trustDomain: '',
    state: 'checking',
    version: '',
    wave: before?.waves.length ?? 0,
    done: 0,
    total: 0,
    failed: before?.failed ?? [],
    paused: before?.said.paused === true,
    notes: before?.notes ?? [],
  };
  const tell = (news: Partial<RollOutProgress>): void => {
    progress = { ...progress, ...news };
    if (progress.trustDomain !== '') showRollOut(progress);
  };
  const note = (text: string): void => tell({ notes: [...progress.notes, text].slice(-50) });
  let state = before;
  const asking = { rollBack: false };
  defineRollOutProgress(() => progress);
  setHandler(rollBackSignal, (reason = 'no reason given') => {
    asking.rollBack = true;
    note(`asked to roll back: ${reason}`);
  });
  const operator = listenToOperator({
    planDigest: () => progress.planDigest,
    verify(approval) {
      const { trustDomain, policy, requester } = required(state, 'there is no plan to approve yet').request;
      return onTrustOnce().verifyApproval({ trustDomain, approval, policy, requester });
    },
    gates: ['action'],
    note,
    changed: () => tell({ paused: operator.isPaused() }),
    ...(before === undefined ? {} : { before: before.said }),
  });

  const begun = before ?? (await beginRollOut(asked));
  state = begun;
  const { request, topology, segments, startedBy } = begun;
  const { policy, trustDomain, artifact } = request;
  nameTrustDomain(trustDomain);
  tell({ trustDomain, version: artifact.version, planDigest: begun.planDigest });

  let [waves, rolled] = [begun.waves, begun.rolled];
  /** Somebody has said to go on although others are silent. */
  let mayExceed = false;
  let planned = begun.plannedWaves;
  let found = await find(0);
  const total = sum(found.map((one) => one.total));
  const size = mostUnavailable(policy, total);
  showFound();

  try {
    if (before === undefined) {
      planned = plannedWaves(policy, found.map(leftOf), total);
      if (request.dryRun) return await report('dry run');
      refuseBlocked(begun);
      if (sum(found.map(leftOf)) === 0) return await report('nothing to do');
      if (policy.approvals !== 'none') {
        tell({ waitingFor: 'approval of the rollout' });
        await operator.approved('action');
        tell({ waitingFor: undefined });
      }
      await admitCommands(begun);
    }
    tell({ state: 'rolling out' });
    for (let wavesHere = 0; ; wavesHere += 1) {
      await operator.safePoint();
      if (asking.rollBack) return await goBack();
      if (wavesHere > 0 && isFull(wavesHere)) return await goOnInANewRun();
      const isCanary = waves.length === 0 && policy.canary > 0;
      found = await find(Math.max(size, policy.canary));
      showFound();
      const left = found.map(({ next }) => next.length);
      if (sum(left) === 0) return await report('rolled out');
      const shares = isCanary ? canariesOf(policy, left) : shareOut(size, left);
      const failed = await change(
        shares.map((share, index) => found[index]?.next.slice(0, share) ?? []),
        false,
      );
      tell({ failed: [...progress.failed, ...failed] });
      while (progress.failed.length > policy.mayFail) {
        if ((await decide()) === 'roll back') return await goBack();
        // Healthy or not by now, the release is put on them again and they are judged again.
        const again = progress.failed;
        tell({ failed: [] });
        tell({ failed: await change(await agentsOf(again), false) });
      }
      if (parseDuration(policy.soak) > 0) {
        tell({ waitingFor: `${policy.soak} of looking at wave ${waves.length}` });
        await operator.interruptible(() => sleep(parseDuration(policy.soak)));
      }
    }
  } catch (cause) {
    if (!(cause instanceof ApplicationFailure && cause.type === 'Aborted')) throw cause;
    note(cause.message);
    found = await find(0);
    return report('aborted');
  }

  function find(limit: number): Promise<FoundNodes[]> {
    const failedOf = (segment: string): string[] =>
      progress.failed.filter((one) => one.segment === segment).map(({ name }) => name);
    return Promise.all(
      segments.map((nodes) => onNodes(nodes.cloud).findNodes({ ...nodes, limit, without: failedOf(nodes.segment) })),
    );
  }

  /** Of nodes that there are still, by segment. */
  function agentsOf(nodes: readonly Pick<FailedNode, 'segment' | 'name'>[]): Promise<FoundNodes['next'][]> {
    return Promise.all(
      segments.map(async (segment) => {
        const names = nodes.filter((one) => one.segment === segment.segment).map(({ name }) => name);
        return names.length === 0 ? [] : onNodes(segment.cloud).findAgents({ ...segment, names });
      }),
    );
  }

  function showFound(): void {
    tell({ total, done: sum(found.map(({ current }) => current)) });
  }

  /** One wave; returns who failed. */
  async function change(agents: readonly FoundNodes['next'][], isBack: boolean): Promise<readonly FailedNode[]> {
    const number = waves.length + 1;
    const count = sum(agents.map(({ length }) => length));
    tell({ wave: number, waitingFor: `wave ${number}${isBack ? ', back' : ''}: ${count} nodes` });
    const wanted = segments.map((nodes, index) => ({ nodes, agents: agents[index] ?? [] }));
    const wave = await seeWave(wanted, { request, topology, operator });
    const silent = sum(wave.map(({ before }) => before.silentCount));
    if (!isBack && silent > 0 && silent + count > size && !mayExceed) {
      await hold(`${silent} agents are silent already, and ${size} nodes may be without theirs at once`);
      mayExceed = true;
      return [];
    }
    const end = await changeWave({ wave, number, runId: startedBy, request, topology, operator, isBack });
    waves = [...waves, end.report];
    if (!isBack) rolled = rolled.map((names, index) => [...new Set([...names, ...(end.changed[index] ?? [])])]);
    tell({ waitingFor: undefined });
    return end.failed;
  }

  /** Waits for somebody where the policy does not decide. */
  async function decide(): Promise<'go on' | 'roll back'> {
    const what = `${progress.failed.length} nodes failed, ${policy.mayFail} may`;
    if (policy.onFailure === 'roll back') {
      note(`${what}: going back`);
      return 'roll back';
    }
    await hold(what);
    return asking.rollBack ? 'roll back' : 'go on';
  }

  /** Until somebody says how it goes on. */
  async function hold(why: string): Promise<void> {
    const resumes = operator.resumes();
    tell({ waitingFor: `a decision: ${why}; say resume, rollBack or abort` });
    await operator.interruptible(() => condition(() => asking.rollBack || operator.resumes() > resumes));
    tell({ waitingFor: undefined });
  }

  /** The last first, as many at once as on the way there. A node whose new agent was not healthy at all has put the old one back by itself. */
  async function goBack(): Promise<KeptRollOutReport> {
    tell({ state: 'going back', waitingFor: undefined });
    const left = rolled.map((names) => [...names]);
    while (left.some(({ length }) => length > 0)) {
      await operator.safePoint();
      const counts = left.map(({ length }) => length);
      const names = shareOut(size, counts).map((share, index) => left[index]?.splice(-share, share) ?? []);
      const named = segments.flatMap(({ segment }, index) => (names[index] ?? []).map((name) => ({ segment, name })));
      const failed = await change(await agentsOf(named), true);
      tell({ failed: [...progress.failed, ...failed] });
    }
    found = await find(0);
    return report('rolled back');
  }

  function isFull(wavesHere: number): boolean {
    const { continueAsNewSuggested, historyLength } = workflowInfo();
    return wavesHere >= mostWavesInARun || continueAsNewSuggested || historyLength > mostEvents;
  }

  async function goOnInANewRun(): Promise<never> {
    await condition(allHandlersFinished); // an approval that is being judged is not lost
    const { failed, notes } = progress;
    const said = { paused: operator.isPaused(), approvals: operator.approvals() };
    const continued = { ...begun, plannedWaves: planned, waves, rolled, failed, notes, said };
    return continueAsNew<(input: Continued) => Promise<KeptRollOutReport>>({ continued });
  }

  async function report(outcome: RollOutReport['outcome']): Promise<KeptRollOutReport> {
    showFound();
    tell({ state: 'done', outcome, waitingFor: undefined });
    const made: RollOutReport = {
      operation: 'rollOutAgents',
      trustDomain,
      artifact,
      requester: request.requester,
      reason: request.reason,
      outcome,
      startedAt: begun.startedAt,
      endedAt: new Date().toISOString(),
      planDigest: begun.planDigest,
      segments: segments.map(({ segment }, index) => {
        const { release = '', current = 0, downCount = 0, total: nodes = 0 } = found[index] ?? {};
        return { segment, release, total: nodes, current, down: downCount };
      }),
      plannedWaves: planned,
      waves,
      rolled: sum(rolled.map(({ length }) => length)),
      failed: progress.failed.slice(0, mostNamed),
      findings: begun.findings,
      approvals: operator.approvals(),
      notes: progress.notes,
    };
    if (outcome === 'dry run') return { ...made, file: '' };
    const name = `rollOutAgents ${trustDomain} ${begun.startedAt} ${startedBy}`;
    return { ...made, file: await onTrust().writeReport({ name, report: made }) };
  }
}

/** To be changed: neither there yet nor off. */
function leftOf({ total, current, downCount }: FoundNodes): number {
  return total - current - downCount;
}

function isContinued(asked: unknown): asked is Continued {
  return typeof asked === 'object' && asked !== null && 'continued' in asked;
}
