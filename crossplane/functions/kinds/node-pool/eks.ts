// A cluster of EKS with its nodes. Its API is reached from its network, and from outside only by those who are named.
import { z } from 'zod';
import { partLabel, reported, shortName } from '../../composed.ts';
import type { Built, Composed, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { ownPart, partOf } from '../../parts.ts';
import type { NodePoolSpec } from '../../specs.ts';
import { awsAttachment, awsRole } from '../aws-identity.ts';
import { awsDisks, awsMetadata } from '../machine.ts';

/** What EKS asks of its nodes' role. */
const nodePolicies = ['AmazonEKSWorkerNodePolicy', 'AmazonEKS_CNI_Policy', 'AmazonEC2ContainerRegistryPullOnly'];

export function buildEks(scope: Scope, spec: NodePoolSpec): Built {
  const { region } = spec;
  const tags = { 'trust-domain': spec.trustDomain };
  const make = (group: string, name: string, kind: string, forProvider: Json): Composed =>
    managedResource(scope, {
      name,
      group,
      kind,
      labels: { [partLabel]: name },
      forProvider: { region, ...forProvider },
    });
  const template = shortName(scope, 'machine');
  const version = z.coerce
    .number()
    .catch(1)
    .parse(reported(scope, 'machine', 'latestVersion') ?? reported(scope, 'node-group', 'launchTemplate', 'version'));
  const isPublic = spec.apiCidrs.length > 0;
  // A cluster that began without the key could only get it later, and slowly; one that stands is never given up for a report that is missing.
  const key = reported(scope, 'key', 'arn') ?? reported(scope, 'cluster', 'encryptionConfig', 'provider', 'keyArn');
  const canBegin = key !== undefined || scope.observed('cluster') !== undefined;
  const cluster = make('eks.aws', 'cluster', 'Cluster', {
    roleArnSelector: ownPart('cluster-role'),
    accessConfig: { authenticationMode: 'API' },
    ...(key === undefined ? {} : { encryptionConfig: { provider: { keyArn: key }, resources: ['secrets'] } }),
    enabledClusterLogTypes: ['api', 'audit', 'authenticator'],
    vpcConfig: {
      subnetIdSelector: partOf(scope, spec.networkRef.name, 'subnet'),
      endpointPrivateAccess: true,
      endpointPublicAccess: isPublic,
      ...(isPublic ? { publicAccessCidrs: spec.apiCidrs } : {}),
    },
    ...(spec.kubernetesVersion === undefined ? {} : { version: spec.kubernetesVersion }),
    tags,
  });
  const nodeGroup = make('eks.aws', 'node-group', 'NodeGroup', {
    clusterNameSelector: ownPart('cluster'),
    nodeRoleArnSelector: ownPart('nodes'),
    subnetIdSelector: partOf(scope, spec.networkRef.name, 'subnet'),
    launchTemplate: { name: template, version: String(version) },
    scalingConfig: { minSize: spec.nodes, maxSize: spec.nodes, desiredSize: spec.nodes },
    tags,
  });
  return {
    resources: [
      ...awsRole(scope, 'cluster-role', 'eks.amazonaws.com', []),
      awsAttachment(scope, 'cluster-role', 'AmazonEKSClusterPolicy'),
      ...awsRole(scope, 'nodes', 'ec2.amazonaws.com', []),
      ...nodePolicies.map((policy) => awsAttachment(scope, 'nodes', policy)),
      make('kms.aws', 'key', 'Key', { description: `secrets of ${spec.trustDomain}`, enableKeyRotation: true, tags }),
      ...(canBegin ? [cluster, nodeGroup] : []),
      make('ec2.aws', 'machine', 'LaunchTemplate', {
        name: template,
        metadataOptions: awsMetadata,
        blockDeviceMappings: awsDisks(spec.rootDevice),
        instanceType: spec.machineType ?? 't3.large',
        tagSpecifications: [{ resourceType: 'instance', tags }],
      }),
    ],
    status: {
      cluster: reported(scope, 'cluster', 'id'),
      endpoint: reported(scope, 'cluster', 'endpoint'),
      identity: reported(scope, 'nodes', 'arn'),
    },
    waitingFor: key === undefined ? ['the key that encrypts the cluster'] : [],
  };
}
