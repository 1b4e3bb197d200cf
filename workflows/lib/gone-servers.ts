// What servers of a segment left at the tier above when their instances went without us, at their cloud's console or with their zone: an entry that lets
// whoever has the agent's key sign for the segment, and the agent's place. The cloud cannot say any more which agent that was; the entry can.
import type { SegmentPlan, TrustDomainPlan } from '../../activities/plan.ts';
import { onNodes, onRunbook, onUpdate } from './calls.ts';
import type { TierAbove } from './host-removal.ts';
import { whereOf } from './removals.ts';
import type { Removal } from './saga.ts';

/** Content where nothing is left. An instance that its cloud lists, running or not, is not gone. */
export function goneServersRemoval(
  { spec }: Pick<TrustDomainPlan, 'spec'>,
  { name, cloud, region, pool, downstreamId }: SegmentPlan,
  { name: tier, address }: TierAbove,
): Removal {
  const { trustDomain } = spec;
  const above = { trustDomain, tier: { name: tier, servers: [{ name: tier, address }] } };
  return {
    name: `what gone servers of ${name} left at ${tier}`,
    async run() {
      const entries = await onUpdate().listEntriesOf({ trustDomain, address, spiffeId: downstreamId });
      const ours = entries.filter(({ isOurs }) => isOurs);
      if (ours.length === 0) return;
      const instances = { ...whereOf(spec), region, role: pool.identity, names: pool.servers };
      const present = new Set((await onNodes(cloud).findAgents(instances)).map(({ agentId }) => agentId));
      const gone = new Set(ours.map(({ parentId }) => parentId).filter((parentId) => !present.has(parentId)));
      for (const agentId of gone) {
        const ids = ours.filter(({ parentId }) => parentId === agentId).map(({ id }) => id);
        await onUpdate().deleteEntries({ trustDomain, address, ids });
        await onRunbook().ensureEvicted({ ...above, agentId });
      }
    },
  };
}
