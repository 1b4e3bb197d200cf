// One server of a segment's pool made anew: the old instance goes with its agent's place at the tier above, a new one of the same name takes its identity,
// its database and an intermediate CA of its own, and shows the chain. Nothing is undone: what goes was of no use, and started again this goes on.
import { patched } from '@temporalio/workflow';
import type { Instance, TrustDomainPlan } from '../activities/plan.ts';
import { runChild } from './grow-trust-domain.ts';
import { issueIntermediate } from './issue-intermediate.ts';
import { onCloud, onRollOut } from './lib/calls.ts';
import { goneServersRemoval } from './lib/gone-servers.ts';
import { hostRemoval } from './lib/host-removal.ts';
import type { ProgressKeeper } from './lib/progress.ts';
import { whereOf } from './lib/removals.ts';
import { required } from './lib/required.ts';
import { provisionServer } from './provision-server.ts';

export interface ReplaceServerInput {
  readonly plan: TrustDomainPlan;
  readonly segment: string;
  readonly server: string;
}

export interface ReplacedServer {
  readonly instance: Instance;
  /** RFC 3339: of its new intermediate CA. */
  readonly caEndsAt: string;
}

export const replacePhases = ['remove', 'provision', 'intermediate'] as const;

export async function replaceServer(
  { plan, segment: segmentName, server: name }: ReplaceServerInput,
  owner: string,
  progress: Pick<ProgressKeeper, 'phase'>,
): Promise<ReplacedServer> {
  const { spec, upstream } = plan;
  const { trustDomain } = spec;
  const segment = required(
    plan.segments.find((one) => one.name === segmentName && one.pool.servers.includes(name)),
    `no segment ${JSON.stringify(segmentName)} has a server ${JSON.stringify(name)}`,
  );
  const { pool } = segment;
  const { address } = await onCloud(upstream.cloud, 'spire').waitForInstance({
    ...whereOf(spec),
    region: upstream.region,
    name: required(upstream.servers[0], `pool ${upstream.name} has no server`),
  });
  const above = { name: upstream.name, address };
  const bundlePem = await onRollOut().readBundle({ trustDomain, tier: { name: upstream.name, servers: [above] } });
  const host = { cloud: pool.cloud, region: pool.region, name, role: pool.identity };
  await progress.phase('remove', async () => {
    await hostRemoval(spec, host, above).run();
    // An instance that went without us is not found by its name.
    if (patched('what gone servers left is taken')) await goneServersRemoval(plan, segment, above).run();
  });
  const input = { plan, pool: { ...pool, servers: [name] }, owner, upstream: { address, bundlePem } };
  const servers = await progress.phase('provision', () =>
    runChild(plan, provisionServer, 'provisionServer', input, segment.name),
  );
  const issue = { plan, segment, upstreamAddress: address, servers };
  const [issued] = await progress.phase('intermediate', () =>
    runChild(plan, issueIntermediate, 'issueIntermediate', issue, segment.name),
  );
  return {
    instance: required(servers[0], `server ${name} was not made`),
    caEndsAt: required(issued, `server ${name} has no intermediate`).intermediate.notAfter,
  };
}
