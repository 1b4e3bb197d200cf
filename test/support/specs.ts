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
