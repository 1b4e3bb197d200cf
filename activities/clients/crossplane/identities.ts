// Whom machines are, as SpireIdentity: for each kind of instance one, and the role that another cloud's server assumes.
import type { CloudClient } from '../../cloud.ts';
import { failure } from '../../failures.ts';
import { partName } from '../../spec/resource-names.ts';
import type { Cloud } from '../../spec/trust-domain-spec.ts';
import type { Composites } from './composites.ts';
import type { CompositeObject } from './objects.ts';
import { commonSpec, trustDomainLabels } from './settings.ts';
import type { CrossplaneSettings } from './settings.ts';

type Identities = Pick<
  CloudClient,
  'ensureInstanceIdentity' | 'removeInstanceIdentity' | 'ensureFederatedRole' | 'removeFederatedRole'
>;

const federatedRole = 'attestor';

export function createCrossplaneIdentities(
  composites: Composites,
  cloud: Cloud,
  settings: CrossplaneSettings,
): Identities {
  const ensure = (trustDomain: string, role: string, rights: object): Promise<CompositeObject> =>
    composites.ensure({
      kind: 'SpireIdentity',
      name: partName(trustDomain, role),
      labels: trustDomainLabels(trustDomain),
      spec: {
        ...commonSpec(settings, cloud, trustDomain),
        ...(cloud === 'aws' ? { account: settings.awsAccount } : {}),
        role,
        ...rights,
      },
    });

  return {
    async ensureInstanceIdentity({ trustDomain, role, rights }) {
      const { status = {} } = await ensure(trustDomain, role, {
        secrets: rights.secrets,
        describesInstances: rights.describeInstances,
        takesCommands: rights.takesCommands ?? false,
      });
      const subject = status['subject'];
      return {
        reference: stringIn(status, 'reference', role),
        subject: typeof subject === 'string' ? subject : undefined,
      };
    },
    removeInstanceIdentity: ({ trustDomain, role }) => composites.remove('SpireIdentity', partName(trustDomain, role)),

    async ensureFederatedRole({ trustDomain, subject, audience }) {
      if (cloud !== 'aws')
        throw failure('Unsupported', `${cloud} nodes are attested by their signed tokens: no role is needed`);
      const rights = { describesInstances: true, webIdentity: { subject, audience } };
      const { status = {} } = await ensure(trustDomain, federatedRole, rights);
      return stringIn(status, 'roleArn', federatedRole);
    },
    async removeFederatedRole({ trustDomain }) {
      if (cloud === 'aws') await composites.remove('SpireIdentity', partName(trustDomain, federatedRole));
    },
  };
}

function stringIn(status: Readonly<Record<string, unknown>>, field: string, role: string): string {
  const value = status[field];
  if (typeof value !== 'string') throw failure('NotReady', `SpireIdentity of ${role} is ready and has no ${field}`);
  return value;
}
