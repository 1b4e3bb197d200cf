// Servers of a cluster taken away with what their pods are to the tier above: nodes, banned until they are gone, so that none attests again meanwhile. Their
// entries there go last: by them the next run knows that something is left.
import type { FoundCluster } from '../../activities/clusters/cluster.ts';
import { onRunbook, onUpdate } from './calls.ts';
import { ensureBannedIfKnown } from './host-removal.ts';
import type { TierAbove, Watch } from './host-removal.ts';
import { settleAll } from './saga.ts';

export interface ServerAgent {
  readonly agentId: string;
  readonly watch?: Watch | undefined;
}

/** Of those of the servers for which there are certificates. */
export function agentIdsOf({ nodes }: Pick<FoundCluster, 'nodes'>, servers: readonly string[]): string[] {
  return servers.flatMap((server) => nodes.find(({ name }) => name === server)?.agentId ?? []);
}

/** `remove` ends when the pods are gone. */
export async function retireServers(
  trustDomain: string,
  { name, address }: TierAbove,
  agents: readonly ServerAgent[],
  remove: () => Promise<unknown>,
): Promise<void> {
  const tier = { name, servers: [{ name, address }] };
  const at = ({ agentId }: ServerAgent) => ({ trustDomain, tier, agentId });
  const watched = await settleAll(agents.map(async (agent) => agent.watch?.(at(agent))));
  await settleAll(agents.map((agent) => ensureBannedIfKnown(at(agent))));
  await remove();
  await settleAll(
    agents.map(async (agent) => {
      await onRunbook().ensureEvicted(at(agent));
      const entries = await onUpdate().listEntries({ trustDomain, address, parentId: agent.agentId });
      const ids = entries.filter(({ isOurs }) => isOurs).map(({ id }) => id);
      if (ids.length > 0) await onUpdate().deleteEntries({ trustDomain, address, ids });
    }),
  );
  for (const whenGone of watched) await whenGone?.();
}
