// What all runbooks have in common: the request is checked, what was found and done is shown while it runs, acts are by policy and narrowing ones by
// approval, recovery is waited for, and all of it ends in a report. Two of a kind with the same id are one.
import { CancellationScope, condition, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';
import type {
  AgentLook,
  AlertNotice,
  RunbookOutcome,
  RunbookReport,
  RunbookRequest,
  TierLook,
} from '../../activities/runbooks/runbook.ts';
import type { Tier, Topology } from '../../activities/trust/topology.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { onRunbook, onTrust, onTrustOnce } from '../lib/calls.ts';
import { rootMessage } from '../lib/failure-message.ts';
import { listenToOperator } from '../lib/operator.ts';
import { nameTrustDomain } from '../lib/progress.ts';
import { required } from '../lib/required.ts';
import { findTopologyAsItIs } from '../lib/topology.ts';
import { defineRunbookProgress, showRunbook } from './runbook-progress.ts';
import type { RunbookProgress } from './runbook-progress.ts';
import { tierOf } from './tiers.ts';

/** From the alert receiver: it fires again, or is over. */
export const alertSignal = defineSignal<[AlertNotice]>('alert');

export interface KeptRunbookReport extends RunbookReport {
  /** Where the worker wrote it. */
  readonly file: string;
}

export interface Runbook {
  readonly request: Omit<RunbookRequest, 'plan' | 'topology'>;
  /** Where the request has a specification. */
  readonly plan: RunbookRequest['plan'];
  readonly topology: Topology;
  /** Says what was found, once. */
  readonly found: (what: string) => void;
  /** Says what is left for a person. */
  readonly advise: (what: string) => void;
  /** How every tier stands now. */
  readonly look: () => Promise<readonly TierLook[]>;
  /** The same of one tier; undefined where there is none of that name. */
  readonly lookAt: (name: string | undefined) => Promise<TierLook | undefined>;
  /** How the agent stands that the runbook is about, at the tier that is named, or at the request's, or where it is found. */
  readonly lookAtAgent: (tier?: string) => Promise<AgentLook>;
  /** The tier of that name; a request names none that is not there. */
  readonly tier: (name: string | undefined) => Tier;
  /** Does it, unless the policy says to look only; returns whether it was done. What fails is a finding. */
  readonly act: (what: string, run: () => Promise<unknown>) => Promise<boolean>;
  /** Waits for somebody to approve what narrows trust or overwrites something; false where nobody did before the deadline, or the policy says to look only. */
  readonly approved: (action: string) => Promise<boolean>;
  /** Looks until it is so, or the policy's deadline has passed; returns whether it is. */
  readonly until: (what: string, isSo: () => Promise<boolean>) => Promise<boolean>;
}

export type RunbookStory = (runbook: Runbook) => Promise<RunbookOutcome>;

export async function runRunbook(name: string, asked: unknown, story: RunbookStory): Promise<KeptRunbookReport> {
  const startedAt = new Date().toISOString();
  let progress: RunbookProgress = {
    runbook: name,
    trustDomain: '',
    subject: '',
    state: 'running',
    paused: false,
    alerts: [],
    findings: [],
    actions: [],
    advice: [],
    notes: [],
  };
  const tell = (news: Partial<RunbookProgress>): void => {
    progress = { ...progress, ...news };
    if (progress.trustDomain !== '') showRunbook(progress);
  };
  defineRunbookProgress(() => progress);
  const hear = ({ status, name: alert, startsAt, summary }: AlertNotice): void => {
    const line = `${alert} ${status}, since ${startsAt}${summary === '' ? '' : `: ${summary}`}`;
    if (!progress.alerts.includes(line)) tell({ alerts: [...progress.alerts, line].slice(-mostKept) });
  };
  setHandler(alertSignal, hear);

  const { plan, topology: given, ...request } = await onRunbook().checkRunbook({ runbook: name, request: asked });
  const { trustDomain, subject, policy, requester, reason } = request;
  nameTrustDomain(trustDomain);
  tell({ trustDomain, subject });
  if (request.alert !== undefined) hear(request.alert);
  const operator = listenToOperator({
    planDigest: () => progress.planDigest,
    verify: (approval) => onTrustOnce().verifyApproval({ trustDomain, approval, policy, requester }),
    gates: ['action'],
    note: (text) => tell({ notes: [...progress.notes, text].slice(-mostKept) }),
    changed: () => tell({ paused: operator.isPaused() }),
  });
  const found = (what: string): void => {
    if (!progress.findings.includes(what)) tell({ findings: [...progress.findings, what].slice(-mostKept) });
  };
  const topology =
    given ?? (await findTopology(required(plan, 'there is neither a specification nor a topology'), found));

  const look = async (): Promise<readonly TierLook[]> => {
    await operator.safePoint();
    return operator.interruptible(() => onRunbook().lookAtTiers({ topology }));
  };

  const runbook: Runbook = {
    request,
    plan,
    topology,
    found,
    advise: (what) => tell({ advice: [...progress.advice, what] }),
    look,
    lookAt: async (wanted) => tierOf(await look(), wanted),
    lookAtAgent: (tier = request.tier) =>
      onRunbook().lookAtAgent({ topology, agentId: subject, ...(tier === undefined ? {} : { tier }) }),
    tier: (wanted) =>
      required(
        topology.tiers.find((one) => one.name === wanted),
        `no tier has the name ${JSON.stringify(wanted ?? '')}`,
      ),
    async act(what, run) {
      await operator.safePoint();
      if (!policy.mayAct) {
        found(`the policy lets this runbook only look: it did not ${what}`);
        return false;
      }
      const note = (ended: string): void =>
        tell({ actions: [...progress.actions, { what, at: new Date().toISOString(), ended }] });
      try {
        // An act that has begun is brought to its end: half of it helps nobody.
        await CancellationScope.nonCancellable(run);
        note('done');
        return true;
      } catch (cause) {
        note(`failed: ${rootMessage(cause)}`);
        return false;
      }
    },
    async approved(action) {
      if (!policy.mayAct) {
        found(`the policy lets this runbook only look: it did not ask for approval to ${action}`);
        return false;
      }
      if (policy.approvals === 'none') return true;
      const planDigest = await onRunbook().digestAction({ runbook: name, trustDomain, subject, action });
      tell({ planDigest, waitingFor: `approval to ${action}` });
      const given = await operator.approvedWithin('action', parseDuration(policy.deadline));
      if (!given) found(`nobody approved within ${policy.deadline} to ${action}`);
      tell({ planDigest: undefined, waitingFor: undefined });
      return given;
    },
    async until(what, isSo) {
      const deadline = Date.now() + parseDuration(policy.deadline);
      tell({ waitingFor: `${what}, until ${new Date(deadline).toISOString()}` });
      try {
        for (;;) {
          await operator.safePoint();
          if (await isSo()) return true;
          if (Date.now() >= deadline) return false;
          const known = progress.alerts.length;
          // An alert that is over, or another one, is a reason to look at once.
          await operator.interruptible(() =>
            condition(() => progress.alerts.length !== known, parseDuration(policy.lookEvery)),
          );
        }
      } finally {
        tell({ waitingFor: undefined });
      }
    },
  };
  const outcome = await story(runbook);
  tell({ state: 'done', outcome });
  const { alerts, findings, actions, advice } = progress;
  const report: RunbookReport = {
    runbook: name,
    trustDomain,
    subject,
    requester,
    reason,
    outcome,
    startedAt,
    endedAt: new Date().toISOString(),
    alerts,
    findings,
    actions,
    approvals: operator.approvals(),
    advice,
  };
  const file = await onTrust().writeReport({
    name: `${name} ${trustDomain} ${startedAt} ${workflowInfo().runId}`,
    report,
  });
  return { ...report, file };
}

/** What people read, and what a history keeps of it. */
const mostKept = 50;

async function findTopology(
  plan: NonNullable<RunbookRequest['plan']>,
  found: (what: string) => void,
): Promise<Topology> {
  const { topology, absent } = await findTopologyAsItIs(plan);
  for (const one of absent) found(`no instance runs for server ${one}`);
  return topology;
}
