// What clusters of Kubernetes have of a trust domain, asked of them, of their servers and of the upstream. Changes nothing; where nothing was ever in a cluster,
// nobody is asked.
import { patched } from '@temporalio/workflow';
import type { ClusterPlan, TrustDomainPlan } from '../../activities/plan.ts';
import type { LookedClusters, PlacedGroup } from '../../activities/update/update.ts';
import { onCloud, onCluster, onUpdate } from '../lib/calls.ts';
import { whereOf } from '../lib/removals.ts';
import { required } from '../lib/required.ts';

export async function lookAtClusters(
  plan: TrustDomainPlan,
  placed: readonly PlacedGroup[],
): Promise<LookedClusters | undefined> {
  const { spec, upstream, clusters = [] } = plan;
  const { trustDomain } = spec;
  const [root, ...others] = placed.filter(({ role }) => role === 'upstream');
  const isForClusters = [root, ...others].some((group) => group?.isForClusters === true);
  if (plan.clusters === undefined && !isForClusters) return undefined;
  if (!patched('clusters are changed')) {
    await Promise.all(clusters.map((cluster) => onCluster('validation').readClusterSettings({ trustDomain, cluster })));
    return undefined;
  }
  const planned = await Promise.all(clusters.map((cluster) => lookAtCluster(trustDomain, cluster)));
  const beside = clusters.map(({ context }) => (context === undefined ? {} : { context }));
  const { found, silent } = await onCluster('validation').findClusters({ trustDomain, beside });
  const [name] = root?.names ?? [];
  if (name === undefined) return { planned, found, silent, downstream: [] }; // said of the upstream
  const { cloud, region } = upstream;
  const { address } = await onCloud(cloud, 'validation').waitForInstance({ ...whereOf(spec), region, name });
  return { planned, found, silent, downstream: await onUpdate().listDownstreamEntries({ trustDomain, address }) };
}

async function lookAtCluster(trustDomain: string, cluster: ClusterPlan): Promise<LookedClusters['planned'][number]> {
  const { name, aliasId: parentId } = cluster;
  const found = await onCluster('validation').readCluster({ trustDomain, cluster });
  const [server] = found?.servers ?? [];
  if (server === undefined) return { name, found, entries: [] };
  const address = required(server.address, `${server.name} of cluster ${name} has no address`);
  return { name, found, entries: await onUpdate().listEntries({ trustDomain, address, parentId }) };
}
