// One look at everything that a drill judges by: the tiers, whether they issue, and whether workloads meet. All of it is tried at the same moment, once: what
// does not work is no error here, it is what is looked for.
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { readWorkload, verifyHandshake, verifyRefusal } from '../control/workload-proof.ts';
import { lookAtAgent } from '../runbooks/agents.ts';
import { lookAtTiers } from '../runbooks/look-at-tiers.ts';
import type { Topology } from '../trust/topology.ts';
import type { AddressedWorkload, DrillLook, HandshakeLook, WorkloadLook } from './drill.ts';
import { tried, tryIssuance } from './issuance.ts';

export interface LookInput {
  readonly topology: Topology;
  readonly workloads: readonly AddressedWorkload[];
  readonly agent?: { readonly tier: string; readonly agentId: string } | undefined;
}

/** Of a large domain a part stands for the rest. */
const mostPairs = 24;

export async function lookAtDrill(
  source: X509Source,
  { topology, workloads, agent }: LookInput,
  clock: () => number,
): Promise<DrillLook> {
  const { trustDomain, tiers } = topology;
  const at = new Date(clock()).toISOString();
  const [looks, issuance, seen, handshakes, refusals, agentLook] = await Promise.all([
    lookAtTiers(source, topology, clock()),
    Promise.all(tiers.map((tier) => tryIssuance(source, trustDomain, tier))),
    Promise.all(workloads.map((one) => lookAtWorkload(source, trustDomain, one, clock()))),
    Promise.all(pairsOf(workloads).map(([from, to]) => tryHandshake(source, from, to))),
    Promise.all(workloads.map((one) => tryRefusal(source, one, clock()))),
    // Where its tier does not answer there is nothing to say of it.
    agent === undefined ? undefined : lookAtAgent(source, { topology, ...agent }, clock()).catch(() => undefined),
  ]);
  const found = { at, tiers: looks, issuance, workloads: seen, handshakes, refusals };
  return agentLook === undefined ? found : { ...found, agent: agentLook };
}

function pairsOf(workloads: readonly AddressedWorkload[]): (readonly [AddressedWorkload, AddressedWorkload])[] {
  const pairs = workloads.flatMap((from) =>
    workloads.filter(({ cloud }) => cloud !== from.cloud).map((to) => [from, to] as const),
  );
  return pairs.slice(0, mostPairs);
}

async function lookAtWorkload(
  source: X509Source,
  trustDomain: string,
  workload: AddressedWorkload,
  now: number,
): Promise<WorkloadLook> {
  const { spiffeId } = workload;
  let shown: Pick<WorkloadLook, 'leaf' | 'endsAt'> = {};
  const outcome = await tried(async () => {
    const [leaf] = (await readWorkload(source, trustDomain, workload, now)).chain;
    if (leaf !== undefined) shown = { leaf: leaf.sha256, endsAt: leaf.notAfter };
  });
  return { spiffeId, ...outcome, ...shown };
}

async function tryHandshake(
  source: X509Source,
  from: AddressedWorkload,
  to: AddressedWorkload,
): Promise<HandshakeLook> {
  const outcome = await tried(() => verifyHandshake(source, from, to));
  return { from: from.spiffeId, to: to.spiffeId, ...outcome };
}

async function tryRefusal(source: X509Source, workload: AddressedWorkload, now: number): Promise<WorkloadLook> {
  return { spiffeId: workload.spiffeId, ...(await tried(() => verifyRefusal(source, workload, now))) };
}
