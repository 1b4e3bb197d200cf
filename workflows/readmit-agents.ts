// Lets agents back in that were away until their SVIDs had expired: the clouds' instance identities are trusted on first use only, so an expired
// agent stays out until a person evicts it – or this does, for instances that their cloud still lists as running. Banned agents stay banned.
import { ApplicationFailure } from '@temporalio/workflow';
import type { Instance, ServerPool, TrustDomainPlan } from '../activities/plan.ts';
import { onControl } from './lib/calls.ts';
import { changeTrust } from './lib/change-trust.ts';
import { nameTrustDomain } from './lib/progress.ts';
import { settleAll } from './lib/saga.ts';
import { findInstances } from './lib/topology.ts';

export interface ReadmitReport {
  readonly trustDomain: string;
  /** Agent IDs that may attest again. */
  readonly readmitted: readonly string[];
}

/** The input is the specification, as `trust-domain.yaml` has it. */
export async function readmitAgents(spec: unknown): Promise<ReadmitReport> {
  const plan = await onControl('validation').planTrustDomain({ spec });
  nameTrustDomain(plan.spec.trustDomain);
  return changeTrust<ReadmitReport>({ change: 'readmit', plan });
}

/** Tier by tier: a downstream serves nobody until its own host's agent is back. */
export async function readmitExpired(plan: TrustDomainPlan): Promise<ReadmitReport> {
  const upstream = await findServer(plan, plan.upstream);
  const readmitted = await settleAll(
    plan.segments.map(async ({ pool, cloud, region, nodes }) => {
      const hosts = await findInstances(plan, pool, pool.servers, 'spire');
      const backAtUpstream = await readmit(plan, upstream, hosts);
      const server = await findServer(plan, pool);
      return [...backAtUpstream, ...(await readmit(plan, server, await findInstances(plan, { cloud, region }, nodes)))];
    }),
  );
  return { trustDomain: plan.spec.trustDomain, readmitted: readmitted.flat() };
}

/** The pool's first server, once it is ready. */
async function findServer(plan: TrustDomainPlan, pool: ServerPool): Promise<Instance> {
  const { trustDomain } = plan.spec;
  const servers = await findInstances(plan, pool, pool.servers, 'spire');
  await settleAll(servers.map(({ address }) => onControl('spire').waitForServer({ trustDomain, address })));
  const [first] = servers;
  if (first === undefined) {
    throw ApplicationFailure.create({
      type: 'InvalidRequest',
      nonRetryable: true,
      message: `pool ${pool.name} has no server`,
    });
  }
  return first;
}

async function readmit(
  { spec }: TrustDomainPlan,
  { address }: Instance,
  instances: readonly Instance[],
): Promise<string[]> {
  const { readmitAgent } = onControl('spire');
  const back = await settleAll(
    instances.map(({ agentId }) => readmitAgent({ trustDomain: spec.trustDomain, address, agentId })),
  );
  return instances.filter((_, index) => back[index] === true).map(({ agentId }) => agentId);
}
