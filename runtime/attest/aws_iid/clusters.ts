// Whether an instance is a node of one of the EKS clusters that `validate_eks_cluster_membership` names.
import { deniedEvidence, undecided } from '../attest-error.ts';
import type { AttestLog } from '../attestor.ts';
import { createListClusterNodes } from './cluster-nodes.ts';
import type { ListClusterNodes } from './cluster-nodes.ts';
import type { CredentialSources } from './credentials.ts';
import type { IdentityDocument } from './identity-document.ts';
import { createMemberList } from './member-list.ts';
import type { MemberList } from './member-list.ts';
import type { AwsIidConfig } from './server-config.ts';

export interface Clusters {
  /** Throws where the instance is none of their nodes, and where nobody can say. */
  checkNode(document: IdentityDocument, signal: AbortSignal): Promise<void>;
}

export interface ClustersDeps extends Partial<CredentialSources> {
  readonly log: AttestLog;
  readonly clock: () => number;
  readonly listClusterNodes?: ListClusterNodes;
}

const ttlMs = 30_000;

/** Undefined where the configuration does not ask for the check. */
export function createClusters(config: AwsIidConfig, deps: ClustersDeps): Clusters | undefined {
  if (config.validate_eks_cluster_membership === undefined) return undefined;
  const { eks_cluster_names: names } = config.validate_eks_cluster_membership;
  const { log, clock, fetch = globalThis.fetch, env = process.env } = deps;
  const list = deps.listClusterNodes ?? createListClusterNodes(names, config, { fetch, env });
  /** By place: accounts and regions come from documents that AWS signed, so they are few. */
  const kept = new Map<string, MemberList>();

  const nodesAt = ({ region, accountId }: IdentityDocument): MemberList => {
    const place = `${region} ${accountId}`;
    const found =
      kept.get(place) ?? createMemberList({ list: (signal) => list({ region, accountId }, signal), ttlMs, clock });
    kept.set(place, found);
    return found;
  };

  return {
    async checkNode(document, signal) {
      const { instanceId } = document;
      const found = await nodesAt(document)
        .has(instanceId)
        .catch((cause: unknown) => {
          log.warn({ error: cause, instance: instanceId }, 'failed to list the nodes of the EKS clusters');
          throw undecided(
            'CLOUD_UNAVAILABLE',
            `failed to verify that instance ${instanceId} is a node of an EKS cluster`,
            cause,
          );
        });
      signal.throwIfAborted();
      if (!found) {
        throw deniedEvidence(
          'NOT_IN_CLUSTER',
          `failed aws eks attestation, nodes id: ${instanceId} is not part of configured EKS cluster`,
        );
      }
    },
  };
}
