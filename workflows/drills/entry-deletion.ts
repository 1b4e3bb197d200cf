// Entry deletion: the entries of a workload are deleted at its tier. Its agent takes the SVID out of its streams, and the runbook restores from the snapshot
// what is gone; what it does not, the drill puts back exactly as it was.
import type { KeptEntry } from '../../activities/drills/drill.ts';
import { onDrill, onRunbook } from '../lib/calls.ts';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { required } from '../lib/required.ts';
import { blocked } from './blocked.ts';
import { keepsIssuing, keepsRefusing, mtlsWorks } from './judge-look.ts';
import type { Expectation, Fault, Round } from './round.ts';
import type { DrillStage } from './stage.ts';

export function entryDeletion(stage: DrillStage): Round[] {
  const { subject: spiffeId, plan, policy } = stage.request;
  const { trustDomain } = plan.spec;
  const segment = required(
    plan.segments.find(({ workloads }) => workloads.some((one) => one.spiffeId === spiffeId)),
    `no segment has the workload ${spiffeId}`,
  );
  const node = segment.workloads.find((one) => one.spiffeId === spiffeId)?.node;
  const { agentId } = required(
    stage.nodes.find(({ name }) => name === node),
    `no node runs ${spiffeId}`,
  );
  const on = { trustDomain, tier: stage.tier(segment.name) };
  let kept: readonly KeptEntry[] = [];
  let lostAfterMs: number | undefined;
  let [serves, streams] = [0, 0];
  const missing = async (): Promise<number> => (await onRunbook().compareEntries(on)).missing;
  const lost: Expectation = {
    what: `agent ${agentId} serves ${spiffeId}, by its own report later than ${policy.lostWithin} after the deletion`,
    kind: 'stops',
    works: () =>
      lostAfterMs === undefined ? { works: true } : { works: false, said: `it reported so after ${lostAfterMs} ms` },
  };
  const others: Expectation = {
    what: 'the other workloads meet over mTLS',
    kind: 'keeps',
    works: (look) => mtlsWorks(look, (id) => id !== spiffeId),
  };
  const hasOthers = new Set(stage.workloads.filter((one) => one.spiffeId !== spiffeId).map(({ cloud }) => cloud)).size > 1; // prettier-ignore
  const name = `delete the entries of ${spiffeId} at tier ${segment.name}`;
  const fault: Fault = {
    name,
    async ensure() {
      const deletion = { ...on, entries: kept, agentId, served: serves, within: policy.lostWithin };
      lostAfterMs = await onDrill().removeWorkloadEntries(deletion);
    },
    mending: () => ({ name, kind: 'entries', ...on, entries: kept }),
  };
  return [
    {
      failure: `the entries of ${spiffeId} are deleted`,
      faults: [fault],
      alert: { name: 'SpireEntriesDropped', labels: { tier: segment.name } },
      // Whoever runs this drill has approved that what it deletes is restored.
      runbook: { name: 'registrationEntryDrop', subject: segment.name, policy: { approvals: 'none' } },
      agent: { tier: segment.name, agentId },
      async prepare() {
        const before = await missing();
        if (before > 0) throw blocked([`${before} entries of tier ${segment.name} are gone since the last snapshot`]);
        await onRunbook().snapshotTrust({ topology: { trustDomain, tiers: [on.tier] } });
        kept = await onDrill().readWorkloadEntries({ ...on, spiffeId });
        const look = await onRunbook().lookAtAgent({ topology: stage.topology, tier: segment.name, agentId });
        [serves, streams] = [look.serves, look.streams];
        if (serves === 0) throw blocked([`agent ${agentId} does not say that it serves anything`]);
      },
      async detect() {
        const gone = await missing();
        return gone > 0 ? `${gone} entries of tier ${segment.name} are gone since the last snapshot` : undefined;
      },
      expectations: [
        lost,
        keepsRefusing,
        ...stage.topology.tiers.map(({ name }) => keepsIssuing(name)),
        ...(hasOthers ? [others] : []),
      ],
      isOver: async (_look, elapsedMs) =>
        elapsedMs >= parseDuration(stage.request.policy.hold) || (await missing()) === 0,
      holds: `the runbook has restored them, ${stage.request.policy.hold} at most`,
      notBack: ({ agent }) =>
        agent !== undefined && agent.serves >= serves && agent.streams >= streams
          ? []
          : [`agent ${agentId} serves ${agent?.serves ?? 0} SVIDs to ${agent?.streams ?? 0} streams, and ${serves} to ${streams} before`], // prettier-ignore
    },
  ];
}
