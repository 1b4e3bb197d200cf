// A fake world as a bootstrap leaves it, without having run one.
import { createFakeWorld } from '../fakes/fake-world.ts';
import type { FakeWorld } from '../fakes/fake-world.ts';

/** What a bootstrap leaves, made by the same activities. */
export async function bootstrapped(input: { readonly trustDomain: string }): Promise<FakeWorld> {
  const world = createFakeWorld(input.trustDomain);
  const control = world.control();
  const plan = await control.planTrustDomain({ spec: input });
  const { trustDomain, infrastructure } = plan.spec;
  const where = { trustDomain, infrastructure };
  const clouds = { gcp: world.cloud('gcp'), aws: world.cloud('aws') };
  const rights = { secrets: [], describeInstances: false };
  const owner = 'the bootstrap';
  for (const { cloud, region } of plan.places) await clouds[cloud].ensureNetwork({ ...where, region });
  if (plan.upstream.assumesAwsRole) await clouds.aws.ensureFederatedRole({ ...where, subject: '1', audience: '' });
  await control.ensureWorkerKey({ trustDomain });
  const none = { awsRoleArn: undefined, worker: undefined, upstream: undefined };
  for (const pool of [plan.upstream, ...plan.segments.map((segment) => segment.pool)]) {
    const cloud = clouds[pool.cloud];
    await cloud.ensureDatastore({ ...where, pool: pool.name, region: pool.region });
    await cloud.ensureInstanceIdentity({ ...where, role: pool.identity, rights });
    for (const name of pool.servers)
      await cloud.ensureServerInstance({ ...where, region: pool.region, plan, pool, name, owner, ...none });
  }
  const register = (spiffeId: string, parentId: string, selectors: readonly string[], downstream = false) =>
    control.ensureEntry({ trustDomain, address: '', entry: { spiffeId, parentId, selectors, downstream } });
  for (const segment of plan.segments) {
    const cloud = clouds[segment.cloud];
    const { name, region, pool } = segment;
    for (const server of pool.servers) {
      const { agentId } = await cloud.waitForInstance({ ...where, region, name: server });
      await register(segment.downstreamId, agentId, segment.downstreamSelectors, true);
    }
    await cloud.ensureInstanceIdentity({ ...where, role: segment.nodeIdentity, rights });
    for (const node of segment.nodes) {
      const workloads = segment.workloads
        .filter((one) => one.node === node)
        .map((one) => ({ name: one.name, port: 0, peers: [], operators: [] }));
      const placed = { plan, segment: name, cloud: segment.cloud, serverAddress: '', bundlePem: '', workloads };
      await cloud.ensureNodeInstance({ ...where, region, name: node, owner, ...placed });
    }
    await register(segment.aliasId, plan.serverId, segment.aliasSelectors);
    for (const { spiffeId, selectors } of segment.workloads) await register(spiffeId, segment.aliasId, selectors);
  }
  const kubernetes = world.kubernetes();
  for (const cluster of plan.clusters ?? []) {
    const owned = { trustDomain, cluster, owner, plan, upstream: { address: '', bundlePem: '' } };
    const { agentIds } = await kubernetes.ensureClusterServerNodes(owned);
    await kubernetes.ensureClusterServer(owned);
    for (const agentId of agentIds) await register(cluster.downstreamId, agentId, cluster.downstreamSelectors, true);
    await kubernetes.ensureClusterAgents(owned);
    await register(cluster.aliasId, plan.serverId, cluster.aliasSelectors);
    for (const { spiffeId, selectors } of cluster.workloads) await register(spiffeId, cluster.aliasId, selectors);
  }
  return world;
}
