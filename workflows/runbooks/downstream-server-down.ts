// One server of a pool does not answer. The others go on: nothing is lost unless they fail too. One that does not come back in time is made anew, where
// somebody approves, the others serve, and the request says what it is made from.
import { ApplicationFailure, patched, startChild } from '@temporalio/workflow';
import type { SegmentPlan, TrustDomainPlan } from '../../activities/plan.ts';
import type { TierLook } from '../../activities/runbooks/runbook.ts';
import type { Topology } from '../../activities/trust/topology.ts';
import { onRunbook } from '../lib/calls.ts';
import { changeTrust, isLocked } from '../lib/change-trust.ts';
import { workflowId } from '../lib/workflow-ids.ts';
import type { ReplacedServer } from '../replace-server.ts';
import { runRunbook } from './runbook.ts';
import type { KeptRunbookReport, Runbook } from './runbook.ts';
import { answering, isServing, tierOf } from './tiers.ts';

export function downstreamServerDown(request: unknown): Promise<KeptRunbookReport> {
  return runRunbook('downstreamServerDown', request, async (runbook) => {
    const { plan, topology, found, advise, lookAt, until } = runbook;
    const { subject } = runbook.request;
    const segment = plan?.segments.find(({ pool }) => pool.servers.includes(subject));
    // One whose instance is gone stands in no topology.
    const name =
      topology.tiers.find(({ servers }) => servers.some((one) => one.name === subject))?.name ?? segment?.name;
    const see = async () => {
      const tier = await lookAt(name);
      return { tier, server: tier?.servers.find((one) => one.name === subject) };
    };
    const { tier, server } = await see();
    if (server?.answers === true) return 'nothing is wrong';
    if (tier !== undefined) {
      const others = answering(tier);
      const said = server === undefined ? 'it has no instance' : (server.said ?? '');
      const all = tier.servers.length + (server === undefined ? 1 : 0);
      found(`server ${subject} of tier ${tier.tier} does not answer: ${said}`);
      found(`${others.length} of ${all} servers of tier ${tier.tier} answer: ${impactOf(others.length)}`);
    }
    if (await until(`server ${subject} to answer`, async () => (await see()).server?.answers === true)) {
      found(`server ${subject} answers again`);
      return 'recovered';
    }
    const mayBeReplaced =
      plan !== undefined && segment !== undefined && patched('servers that do not come back are replaced');
    if (mayBeReplaced) return replace(runbook, plan, segment, (await see()).tier);
    advise(`replace server ${subject}: its console and its log say why it does not come back`);
    return 'needs a person';
  });
}

function impactOf(left: number): string {
  if (left === 0) return 'nothing is issued, which is the runbook downstreamClusterDown';
  return left === 1 ? 'nothing is lost, and one more failure stops issuance' : 'nothing is lost';
}

/** Under the lock of the trust domain, by what makes servers in a bootstrap. */
async function replace(
  { request, topology, found, advise, act, approved, until }: Runbook,
  plan: TrustDomainPlan,
  segment: SegmentPlan,
  before: TierLook | undefined,
): Promise<'recovered' | 'needs a person'> {
  const { subject } = request;
  const where = `server ${subject} of tier ${segment.name}`;
  if (before === undefined || !isServing(before)) {
    advise(
      `no other server of tier ${segment.name} serves: runbook downstreamClusterDown, before ${subject} is replaced`,
    );
    return 'needs a person';
  }
  if (!(await approved(`take the instance of ${where} away and make it anew`))) {
    advise(`replace server ${subject}: its console and its log say why it does not come back`);
    return 'needs a person';
  }
  let replaced: ReplacedServer | undefined;
  const isDone = await act(`replace ${where}`, async () => {
    const change = { change: 'replaceServer', plan, segment: segment.name, server: subject } as const;
    replaced = await changeTrust<ReplacedServer>(change).catch((cause: unknown) => {
      // Who holds the lock is what a person wants to read, not how that was found.
      if (isLocked(cause))
        throw ApplicationFailure.create({ type: 'Conflict', nonRetryable: true, message: cause.message });
      throw cause;
    });
  });
  if (!isDone || replaced === undefined) {
    advise(`start this runbook again: it goes on with server ${subject} where it was`);
    return 'needs a person';
  }
  const { instance, caEndsAt } = replaced;
  const anew = withAddress(topology, segment.name, subject, instance.address);
  const see = async () => tierOf(await onRunbook().lookAtTiers({ topology: anew }), segment.name);
  const isBack = await until(`the new server ${subject} to answer`, async () => {
    const now = await see();
    const answers = now?.servers.some((one) => one.name === subject && one.answers) === true;
    return answers && !now.unpublished.includes(subject);
  });
  if (!isBack) {
    advise(`the new server ${subject} at ${instance.address} does not answer: its console says why`);
    return 'needs a person';
  }
  found(`server ${subject} is back at ${instance.address}; its intermediate CA ends at ${caEndsAt}`);
  const old = before.servers.find((one) => one.name === subject)?.address;
  // Agents know their pool by the address of its first server.
  if (subject !== segment.pool.servers[0] || old === instance.address) return 'recovered';
  await act(`have the agents of tier ${segment.name} told of ${instance.address}`, () =>
    rollOut(request, plan, segment),
  );
  const areBack = await until(
    `the agents of tier ${segment.name} to report`,
    async () => (await see())?.agents.silentCount === 0,
  );
  if (areBack) return 'recovered';
  advise(`agents of tier ${segment.name} are silent: they have to be told of ${instance.address}, by rollOutAgents`);
  return 'needs a person';
}

/** It goes on by itself and shows its own progress; all of them are without their server already. */
function rollOut(
  { trustDomain, requester }: Runbook['request'],
  { spec }: TrustDomainPlan,
  { name, pool }: SegmentPlan,
): Promise<unknown> {
  const policy = { maxUnavailable: '100%' };
  const reason = `server ${pool.servers[0] ?? ''} has another address`;
  return startChild('rollOutAgents', {
    args: [{ spec, segments: [name], requester, reason, policy }],
    workflowId: workflowId('rollOutAgents', trustDomain),
    parentClosePolicy: 'ABANDON',
    cancellationType: 'ABANDON',
  });
}

function withAddress({ trustDomain, tiers }: Topology, tier: string, name: string, address: string): Topology {
  return {
    trustDomain,
    tiers: tiers.map((one) => {
      if (one.name !== tier) return one;
      const others = one.servers.filter((server) => server.name !== name);
      return { ...one, servers: [...others, { name, address }] };
    }),
  };
}
