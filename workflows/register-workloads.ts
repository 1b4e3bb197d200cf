// Registers the node alias of a segment or cluster and, under it, its workloads: whichever node runs a workload, it gets its identity there.
import type { RegisteredWorkload, SegmentPlan, TrustDomainPlan } from '../activities/plan.ts';
import { onControl } from './lib/calls.ts';
import { settleAll } from './lib/saga.ts';

export interface RegisterWorkloadsInput {
  readonly plan: TrustDomainPlan;
  readonly segment: Pick<SegmentPlan, 'aliasId' | 'aliasSelectors'> & {
    readonly workloads: readonly RegisteredWorkload[];
  };
  readonly serverAddress: string;
}

/** Returns the ids of the entries, the alias's first. */
export async function registerWorkloads({ plan, segment, serverAddress }: RegisterWorkloadsInput): Promise<string[]> {
  const { ensureEntry } = onControl('spire');
  const { trustDomain } = plan.spec;
  const register = (spiffeId: string, parentId: string, selectors: readonly string[]) =>
    ensureEntry({ trustDomain, address: serverAddress, entry: { spiffeId, parentId, selectors } });

  const alias = await register(segment.aliasId, plan.serverId, segment.aliasSelectors);
  const workloads = await settleAll(
    segment.workloads.map(({ spiffeId, selectors }) => register(spiffeId, segment.aliasId, selectors)),
  );
  return [alias, ...workloads];
}
