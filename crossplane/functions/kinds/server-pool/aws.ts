// SPIRE servers in AWS: their role, a group of machines, and a load balancer that only the network sees.
import { partLabel, reported, shortName } from '../../composed.ts';
import type { Built, Composed, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { ServerPoolSpec } from '../../specs.ts';
import { awsGroup } from '../aws-group.ts';
import { awsInstanceProfile, awsRole } from '../aws-identity.ts';
import type { Statement } from '../aws-identity.ts';
import { ports } from '../network/rules.ts';

const served = [ports.server, ports.federation];

export function buildAwsServerPool(scope: Scope, spec: ServerPoolSpec): Built {
  const network = spec.networkRef.name;
  const arns = served.map((port) => reported(scope, `targets-${port}`, 'arn') ?? targetOf(scope, port));
  const targets = arns.filter((arn) => arn !== undefined);
  return {
    resources: [
      ...awsRole(scope, 'servers', 'ec2.amazonaws.com', rightsOf(spec)),
      awsInstanceProfile(scope, 'servers'),
      managedResource(scope, {
        name: 'balancer',
        group: 'elbv2.aws',
        kind: 'LB',
        labels: { [partLabel]: 'balancer' },
        forProvider: {
          region: spec.region,
          name: shortName(scope, 'servers'),
          internal: true,
          loadBalancerType: 'network',
          enableCrossZoneLoadBalancing: true,
          subnetSelector: partOf(scope, network, 'subnet'),
          securityGroupSelector: partOf(scope, network, 'group-balancer'),
        },
      }),
      ...served.flatMap((port) => buildListener(scope, spec, port)),
      ...awsGroup(scope, {
        ...spec,
        network,
        role: 'server',
        count: spec.servers,
        machineType: spec.machineType,
        bootScript: spec.bootScript,
        targets,
      }),
    ],
    status: {
      address: reported(scope, 'balancer', 'dnsName'),
      instanceGroup: reported(scope, 'instance-group', 'id'),
      identity: reported(scope, 'servers', 'arn'),
      secrets: spec.secrets,
    },
    waitingFor: targets.length === served.length ? [] : ['the targets of the load balancer'],
  };
}

/** What the group has already stays, where a target is not reported for a moment. */
function targetOf(scope: Scope, port: number): unknown {
  return reported(
    scope,
    'instance-group',
    'trafficSource',
    served.indexOf(port as (typeof served)[number]),
    'identifier',
  );
}

function buildListener(scope: Scope, { region, networkRef }: ServerPoolSpec, port: number): Composed[] {
  return [
    managedResource(scope, {
      name: `targets-${port}`,
      group: 'elbv2.aws',
      kind: 'LBTargetGroup',
      labels: { [partLabel]: `targets-${port}` },
      forProvider: {
        region,
        name: shortName(scope, `targets-${port}`),
        port,
        protocol: 'TCP',
        targetType: 'instance',
        vpcIdSelector: partOf(scope, networkRef.name, 'vpc'),
        healthCheck: { enabled: true, protocol: 'HTTP', port: String(ports.health), path: '/ready', interval: 10 },
      },
    }),
    managedResource(scope, {
      name: `listener-${port}`,
      group: 'elbv2.aws',
      kind: 'LBListener',
      forProvider: {
        region,
        port,
        protocol: 'TCP',
        loadBalancerArnSelector: ownPart('balancer'),
        defaultAction: [{ type: 'forward', targetGroupArnSelector: ownPart(`targets-${port}`) }],
      },
    }),
  ];
}

/** Reading the named secrets, and looking nodes up, which AWS narrows no further. */
function rightsOf({ secrets, region, account, attestsNodes }: ServerPoolSpec): Statement[] {
  return [
    ...(secrets.length === 0
      ? []
      : [
          {
            actions: ['secretsmanager:GetSecretValue'],
            // Secrets Manager ends each ARN with a dash and six characters of its own.
            resources: secrets.map((name) => `arn:aws:secretsmanager:${region}:${account ?? ''}:secret:${name}-??????`),
          },
        ]),
    ...(attestsNodes
      ? [
          { actions: ['ec2:DescribeInstances'], resources: ['*'] },
          { actions: ['iam:GetInstanceProfile'], resources: [`arn:aws:iam::${account ?? ''}:instance-profile/*`] },
        ]
      : []),
  ];
}
