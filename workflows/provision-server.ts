// Stands up a pool of SPIRE servers on instances of its cloud, and waits until every one of them answers as ready. A downstream's instance
// runs an agent of the upstream beside the server: the server takes its identity from it.
import type { WorkerNode } from '../activities/boot/server.ts';
import type { Instance, ServerPool, TrustDomainPlan } from '../activities/plan.ts';
import { onCloud, onControl } from './lib/calls.ts';
import { whereOf } from './lib/removals.ts';
import { settleAll } from './lib/saga.ts';

export interface ProvisionServerInput {
  readonly plan: TrustDomainPlan;
  readonly pool: ServerPool;
  /** The run that owns what is made. */
  readonly owner: string;
  readonly awsRoleArn?: string;
  /** The upstream's first servers know the worker's own node. */
  readonly worker?: WorkerNode;
  /** PEM: the upstream knows the servers of clusters by it. */
  readonly clusterNodes?: string;
  /** A downstream's upstream. */
  readonly upstream?: { readonly address: string; readonly bundlePem: string };
}

/** Returns the instances, in the order of the plan. Whoever starts this has registered their removal. */
export async function provisionServer(input: ProvisionServerInput): Promise<Instance[]> {
  const { plan, pool, owner, awsRoleArn, worker, clusterNodes, upstream } = input;
  const cloud = onCloud(pool.cloud, 'spire');
  const control = onControl('spire');
  const where = { ...whereOf(plan.spec), region: pool.region };

  return settleAll(
    pool.servers.map(async (name) => {
      const known = clusterNodes === undefined ? {} : { clusterNodes };
      await cloud.ensureServerInstance({ ...where, ...known, plan, pool, name, owner, awsRoleArn, worker, upstream });
      const instance = await cloud.waitForInstance({ ...where, name });
      // A downstream is ready only once it has its intermediate CA, which needs its entry first: the gate is its agent's attestation.
      if (upstream === undefined)
        await control.waitForServer({ trustDomain: where.trustDomain, address: instance.address });
      else
        await control.waitForAgent({
          trustDomain: where.trustDomain,
          address: upstream.address,
          agentId: instance.agentId,
        });
      return instance;
    }),
  );
}
