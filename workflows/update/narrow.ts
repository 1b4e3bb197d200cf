// Everything that an update takes away, once what stays is proven: identities before the nodes that they run on, nodes before servers, a segment before what
// only it used. Each act is content with what is gone; between two of them it can be paused. What is known of each is kept, and what fails is told at the end:
// the next update finds it again.
import { ApplicationFailure, patched } from '@temporalio/workflow';
import type { TrustDomainPlan } from '../../activities/plan.ts';
import type { Cloud } from '../../activities/spec/trust-domain-spec.ts';
import type { Tier } from '../../activities/trust/topology.ts';
import type { Comparison, GoneSegment, NarrowingProof } from '../../activities/update/update.ts';
import { onCloud, onCloudOnce } from '../lib/calls.ts';
import { goneServersRemoval } from '../lib/gone-servers.ts';
import { hostRemoval } from '../lib/host-removal.ts';
import type { Operator } from '../lib/operator.ts';
import { identityRemoval, instanceRemoval, networkRemoval, whereOf } from '../lib/removals.ts';
import { required } from '../lib/required.ts';
import { removeTogether } from '../lib/saga.ts';
import type { FailedRemoval, Removal } from '../lib/saga.ts';
import { entriesRemoval } from './entries-removal.ts';
import { clusterRemovals } from './narrow-clusters.ts';
import { createNarrowingProofs } from './narrowing-proofs.ts';
import { placeWorkloads } from './place-workloads.ts';

interface Place {
  readonly cloud: Cloud;
  readonly region: string;
}

export async function narrow(
  plan: TrustDomainPlan,
  comparison: Comparison,
  operator: Pick<Operator, 'safePoint'>,
): Promise<readonly NarrowingProof[]> {
  const { changes, removeSegments, narrows } = comparison;
  if (!narrows) return [];
  // Runs that began before there were proofs go on as they began.
  const proofs = patched('what is taken away is proven') ? createNarrowingProofs(plan) : undefined;
  const failed: FailedRemoval[] = [];
  const together = async (removals: readonly Removal[]): Promise<void> => {
    if (proofs !== undefined && removals.length > 0) await operator.safePoint();
    failed.push(...(await removeTogether(removals)));
  };
  const { spec } = plan;
  const { trustDomain } = spec;
  if (proofs !== undefined) await operator.safePoint();
  await placeWorkloads(plan, comparison, 'stop');
  const { name: root } = plan.upstream;
  const above = { name: root, address: await serverOf(plan, plan.upstream, plan.upstream.servers) };
  const upstream: Tier = { name: root, servers: [above] };
  /** Proofs are begun in the order of the names, whichever address is known first. */
  const watchServers = async (names: readonly string[], tier: string, place: Place, staying?: Tier) => {
    if (proofs === undefined) return [];
    const addresses = await Promise.all(names.map((name) => addressOf(plan, place, name)));
    return names.map((name, index) => proofs.ofServer({ name, tier, address: addresses[index], upstream, staying }));
  };
  for (const { segment: name, removeEntries, removeNodes, removeServers } of changes) {
    const segment = required(
      plan.segments.find((one) => one.name === name),
      `no segment has the name ${JSON.stringify(name)}`,
    );
    const address = await serverOf(plan, segment, segment.pool.servers);
    const place = { cloud: segment.cloud, region: segment.region };
    await together(entriesRemoval({ trustDomain, address }, removeEntries, proofs));
    await together(
      removeNodes.map((node) =>
        hostRemoval(
          spec,
          { ...place, name: node, role: segment.nodeIdentity },
          { name, address },
          proofs?.ofNode(node),
        ),
      ),
    );
    const staying = { name, parent: root, servers: [{ name, address }] };
    const watches = await watchServers(removeServers, name, place, staying);
    await together(
      removeServers.map((host, index) =>
        hostRemoval(spec, { ...place, name: host, role: segment.pool.identity }, above, watches[index]),
      ),
    );
    if (removeServers.length > 0 && patched('what gone servers left is taken'))
      await together([goneServersRemoval(plan, segment, above)]);
  }
  for (const segment of removeSegments) {
    const { name, cloud, region, nodes, servers } = segment;
    await together(nodes.map((node) => instanceRemoval(spec, cloud, region, node)));
    const watches = await watchServers(servers, name, segment);
    await together(
      servers.map((host, index) =>
        hostRemoval(spec, { cloud, region, name: host, role: `server-${name}` }, above, watches[index]),
      ),
    );
    await together(remainsOf(plan, segment));
    if (region !== '' && !isUsed(plan, segment)) await together([networkRemoval(spec, cloud, region)]);
  }
  for (const removal of clusterRemovals({ plan, above, proofs }, comparison)) await together([removal]);
  if (failed.length === 0) return proofs?.all() ?? [];
  const list = failed.map(({ name, reason }) => `${name} (${reason})`).join('; ');
  throw ApplicationFailure.create({
    type: 'RollbackIncomplete',
    nonRetryable: true,
    message: `the update is made but for what could not be taken away: ${list}`,
    details: [failed],
  });
}

function remainsOf({ spec }: TrustDomainPlan, { name, cloud, region }: GoneSegment): Removal[] {
  const at = region === '' ? {} : { region }; // of what is left of a segment nobody may know where it was
  return [
    {
      name: `${cloud} database and secret of ${name}`,
      run: () => onCloud(cloud, 'removal').removeDatastore({ ...whereOf(spec), pool: name, ...at }),
    },
    identityRemoval(spec, cloud, `node-${name}`),
    identityRemoval(spec, cloud, `server-${name}`),
  ];
}

function isUsed({ places }: TrustDomainPlan, { cloud, region }: Place): boolean {
  return places.some((place) => place.cloud === cloud && place.region === region);
}

async function serverOf(plan: TrustDomainPlan, place: Place, servers: readonly string[]): Promise<string> {
  const name = required(servers[0], 'a pool has no server');
  const found = await onCloud(place.cloud, 'spire').waitForInstance({
    ...whereOf(plan.spec),
    region: place.region,
    name,
  });
  return found.address;
}

/** Of one that goes: it may not run any more. */
async function addressOf(plan: TrustDomainPlan, { cloud, region }: Place, name: string): Promise<string | undefined> {
  const where = { ...whereOf(plan.spec), region };
  const found = await onCloudOnce(cloud)
    .waitForInstance({ ...where, name })
    .catch(() => undefined); // said with its proof
  return found?.address;
}
