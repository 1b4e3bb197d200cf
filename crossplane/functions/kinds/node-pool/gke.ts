// A cluster of GKE with its nodes, never Autopilot, whose nodes take no agent. Its nodes have no address on the internet; its API is reached from
// its network, and from outside only by those who are named.
import { partLabel, reported } from '../../composed.ts';
import type { Built, Composed, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { NodePoolSpec } from '../../specs.ts';
import { gcpIdentity } from '../gcp-identity.ts';

export function buildGke(scope: Scope, spec: NodePoolSpec): Built {
  const { project, region } = spec;
  const network = spec.networkRef.name;
  const make = (name: string, kind: string, forProvider: Json): Composed =>
    managedResource(scope, {
      name,
      group: 'container.gcp',
      kind,
      labels: { [partLabel]: name },
      forProvider: { project, location: region, ...forProvider },
    });
  return {
    resources: [
      ...gcpIdentity(scope, project, [{ name: 'node', role: 'roles/container.defaultNodeServiceAccount' }]),
      make('cluster', 'Cluster', {
        networkSelector: partOf(scope, network, 'network'),
        subnetworkSelector: partOf(scope, network, 'subnetwork'),
        networkingMode: 'VPC_NATIVE',
        ipAllocationPolicy: {},
        removeDefaultNodePool: true,
        initialNodeCount: 1,
        enableShieldedNodes: true,
        datapathProvider: 'ADVANCED_DATAPATH',
        releaseChannel: { channel: 'REGULAR' },
        workloadIdentityConfig: { workloadPool: `${project ?? ''}.svc.id.goog` },
        privateClusterConfig: { enablePrivateNodes: true, enablePrivateEndpoint: spec.apiCidrs.length === 0 },
        masterAuthorizedNetworksConfig: { cidrBlocks: spec.apiCidrs.map((cidrBlock) => ({ cidrBlock })) },
        ...(spec.kubernetesVersion === undefined ? {} : { minMasterVersion: spec.kubernetesVersion }),
      }),
      make('node-pool', 'NodePool', {
        clusterSelector: ownPart('cluster'),
        // A count is one for each zone; these are of all zones together.
        autoscaling: { totalMinNodeCount: spec.nodes, totalMaxNodeCount: spec.nodes, locationPolicy: 'BALANCED' },
        nodeConfig: {
          machineType: spec.machineType ?? 'e2-standard-4',
          serviceAccountSelector: ownPart('identity'),
          oauthScopes: ['https://www.googleapis.com/auth/cloud-platform'],
          shieldedInstanceConfig: { enableSecureBoot: true, enableIntegrityMonitoring: true },
          workloadMetadataConfig: { mode: 'GKE_METADATA' },
          metadata: { 'disable-legacy-endpoints': 'true' },
        },
      }),
    ],
    status: {
      cluster: reported(scope, 'cluster', 'id'),
      endpoint: reported(scope, 'cluster', 'endpoint'),
      identity: reported(scope, 'identity', 'email'),
    },
    waitingFor: [],
  };
}
