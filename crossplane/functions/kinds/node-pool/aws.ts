// Nodes in AWS that run an agent: machines in a group, or a cluster of EKS. Attesting needs no right at all; taking another agent by Run Command does.
import { takeCommandsActions } from '../../../../activities/spec/node-rights.ts';
import { reported } from '../../composed.ts';
import type { Built, Scope } from '../../composed.ts';
import type { NodePoolSpec } from '../../specs.ts';
import { awsGroup } from '../aws-group.ts';
import { awsInstanceProfile, awsRole } from '../aws-identity.ts';
import { buildEks } from './eks.ts';

export function buildAwsNodePool(scope: Scope, spec: NodePoolSpec): Built {
  if (spec.platform === 'kubernetes') return buildEks(scope, spec);
  return {
    resources: [
      ...awsRole(scope, 'nodes', 'ec2.amazonaws.com', [{ actions: takeCommandsActions, resources: ['*'] }]),
      awsInstanceProfile(scope, 'nodes'),
      ...awsGroup(scope, {
        ...spec,
        network: spec.networkRef.name,
        role: 'node',
        count: spec.nodes,
        image: spec.image ?? '',
        machineType: spec.machineType,
        bootScript: spec.bootScript,
        targets: [],
      }),
    ],
    status: {
      instanceGroup: reported(scope, 'instance-group', 'id'),
      identity: reported(scope, 'nodes', 'arn'),
    },
    waitingFor: [],
  };
}
