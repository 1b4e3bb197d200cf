// The specification of the repository's own trust-domain.yaml, as plain data: two clouds, one workload each.
export const spec = {
  trustDomain: 'example.org',
  segments: [
    { name: 'gcp', cloud: 'gcp', region: 'us-central1', servers: 1, nodes: 2, attestor: 'gcp_iit' },
    { name: 'aws', cloud: 'aws', region: 'us-east-1', servers: 1, nodes: 2, attestor: 'aws_iid' },
  ],
  workloads: [
    {
      segment: 'gcp',
      environment: 'prod',
      team: 'demo',
      name: 'workload-a',
      selectors: ['unix:path:{image}/opt/demo/workload-a'],
    },
    {
      segment: 'aws',
      environment: 'prod',
      team: 'demo',
      name: 'workload-b',
      selectors: ['unix:path:{image}/opt/demo/workload-b'],
    },
  ],
} as const;

/** Over and above it: a cluster with two servers and a workload. */
export function clusteredSpec() {
  const selectors = ['k8s:ns:production', 'k8s:sa:till'];
  return {
    clusters: [{ name: 'shop', platform: 'onprem', context: 'shop', servers: 2, image: 'espalier-runtime:0.1.0' }],
    workloads: [...spec.workloads, { segment: 'shop', environment: 'prod', team: 'demo', name: 'till', selectors }],
  };
}

/** What a bootstrap calls for a cluster, each once, in this order. */
export const clusterCalls = [
  'kubernetes listClusterResources',
  'kubernetes ensureClusterServerNodes',
  'kubernetes ensureClusterServer',
  'kubernetes waitForClusterServer',
  'kubernetes ensureClusterAgents',
  'kubernetes waitForClusterAgents',
  'control waitForAttestedAgents',
] as const;
