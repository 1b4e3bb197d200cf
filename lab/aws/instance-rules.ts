// What EC2's security groups mean for the network: what one of an instance's groups lets in or out passes, and nothing else does.
// https://docs.aws.amazon.com/vpc/latest/userguide/security-group-rules.html
import type { Guarded, Rule } from '../instance/firewall.ts';
import type { AwsState, Ec2Instance, IngressRule, SecurityGroup } from './state.ts';

const everything = '0.0.0.0/0';

export function guardInstances({ instances, securityGroups }: AwsState): Guarded[] {
  const alive = instances.filter(({ state }) => state !== 'terminated');
  return alive.map((instance) => {
    const groups = instance.groupIds.length === 0 ? [defaultGroup] : securityGroups.filter(({ id }) => instance.groupIds.includes(id)); // prettier-ignore
    return {
      machine: instance.machine,
      inbound: groups.flatMap(({ ingress }) => ingress.map((rule) => allow(rule, alive))),
      outbound: groups.some(letsOut) ? [{ action: 'allow', protocol: 'all', ports: [], peers: [everything] }] : [],
      // Where no token is needed, only what a token is given in would stay near; the lab does not tell answers apart.
      ...(instance.metadataOptions.httpTokens === 'required'
        ? { metadataHops: instance.metadataOptions.hopLimit }
        : {}),
    };
  });
}

/** Of instances for which no other was named: they reach each other. */
const defaultGroup: Pick<SecurityGroup, 'ingress' | 'egressRevoked'> = {
  ingress: [{ protocol: '-1', fromPort: -1, toPort: -1, cidr: '', groupId: '' }],
};

function letsOut({ egressRevoked }: Pick<SecurityGroup, 'egressRevoked'>): boolean {
  return egressRevoked !== true;
}

/** One of a group's own rules. */
export function allow(
  { protocol, fromPort, toPort, cidr, groupId }: IngressRule,
  instances: readonly Ec2Instance[],
): Rule {
  const hasPorts = protocol === 'tcp' || protocol === 'udp' || protocol === '6' || protocol === '17';
  return {
    action: 'allow',
    protocol: protocol === '-1' ? 'all' : protocol,
    ports: hasPorts && fromPort >= 0 ? [[fromPort, toPort]] : [],
    peers:
      groupId === undefined
        ? [cidr]
        : instances
            .filter(({ groupIds }) => (groupIds.length === 0 ? groupId === '' : groupIds.includes(groupId)))
            .map(({ machine }) => `${machine.address}/32`),
  };
}
