// An instance taken away with what its agent had at the tier above it: its entries and its place among the agents. It is banned until the instance is gone,
// so that it does not attest again meanwhile.
import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import type { InstanceRole } from '../../activities/plan.ts';
import type { OnTier } from '../../activities/runbooks/runbook.ts';
import type { Cloud, TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
import { onNodes, onRunbook, onUpdate } from './calls.ts';
import { instanceRemoval, whereOf } from './removals.ts';
import type { Removal } from './saga.ts';

export interface Host {
  readonly cloud: Cloud;
  readonly region: string;
  readonly name: string;
  readonly role: InstanceRole;
}

/** A server of the tier that attested the host's agent. */
export interface TierAbove {
  readonly name: string;
  readonly address: string;
}

export type AgentAt = OnTier & { readonly agentId: string };

/** Looks before the instance goes; what it returns is called when it is gone. */
export type Watch = (agent: AgentAt) => Promise<() => Promise<void>>;

export function hostRemoval(
  spec: TrustDomainSpec,
  { cloud, region, name, role }: Host,
  { name: tier, address }: TierAbove,
  watch?: Watch,
): Removal {
  const { trustDomain } = spec;
  return {
    name: `${cloud} instance ${name}`,
    async run() {
      const [agent] = await onNodes(cloud).findAgents({ ...whereOf(spec), region, role, names: [name] });
      if (agent === undefined) return; // its cloud lists none of that name
      const { agentId } = agent;
      const at = { trustDomain, tier: { name: tier, servers: [{ name: tier, address }] }, agentId };
      const whenGone = await watch?.(at);
      const entries = await onUpdate().listEntries({ trustDomain, address, parentId: agentId });
      const ids = entries.filter(({ isOurs }) => isOurs).map(({ id }) => id);
      if (ids.length > 0) await onUpdate().deleteEntries({ trustDomain, address, ids });
      await ensureBannedIfKnown(at);
      await instanceRemoval(spec, cloud, region, name).run();
      await onRunbook().ensureEvicted(at);
      await whenGone?.();
    },
  };
}

/** Content with one that never attested, or is out already. */
export async function ensureBannedIfKnown(agent: AgentAt): Promise<void> {
  try {
    await onRunbook().ensureBanned(agent);
  } catch (cause) {
    if (!isUnknownAgent(cause)) throw cause;
  }
}

function isUnknownAgent(cause: unknown): boolean {
  return (
    cause instanceof ActivityFailure &&
    cause.cause instanceof ApplicationFailure &&
    cause.cause.type === 'InvalidRequest'
  );
}
