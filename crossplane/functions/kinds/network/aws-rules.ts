// The rules of a network as AWS has them: one resource for each rule and network, and the load balancer's, which stands between.
import type { Json } from '../../composed.ts';
import type { NetworkSpec } from '../../specs.ts';
import { ports, rulesOf } from './rules.ts';
import type { Rule } from './rules.ts';

type Group = 'servers' | 'nodes' | 'balancer' | 'datastore';

export interface SecurityRule {
  readonly name: string;
  readonly kind: 'SecurityGroupIngressRule' | 'SecurityGroupEgressRule';
  readonly of: Group;
  /** The other side, where it is a group of the same network. */
  readonly from?: Group;
  readonly fields: Json;
}

export function securityRules(spec: NetworkSpec): SecurityRule[] {
  const rules = rulesOf(spec);
  const dialled = rules.filter(
    ({ of, direction, port }) =>
      of === 'servers' && direction === 'ingress' && (port === ports.server || port === ports.federation),
  );
  // The balancer hands on what it is dialled for, and asks the servers' health.
  const handedOn = [...new Set([...dialled.map(({ port }) => port), ports.health])];
  return [
    ...rules.flatMap((rule) => byNetwork(rule, rule.of)),
    ...dialled.flatMap((rule) => byNetwork(rule, 'balancer')),
    ...handedOn.flatMap((port) => [
      byGroup('SecurityGroupIngressRule', 'servers', 'balancer', port),
      byGroup('SecurityGroupEgressRule', 'balancer', 'servers', port),
    ]),
    byGroup('SecurityGroupIngressRule', 'datastore', 'servers', ports.datastore),
  ];
}

function byNetwork(rule: Rule, of: Group): SecurityRule[] {
  const prefix = of === rule.of ? '' : `${of}-`;
  return rule.cidrs.map((cidr) => ({
    name: `${prefix}${rule.name}-${cidr.replaceAll(/[./]/g, '-')}`,
    kind: rule.direction === 'ingress' ? 'SecurityGroupIngressRule' : 'SecurityGroupEgressRule',
    of,
    fields: {
      description: rule.name,
      ipProtocol: rule.protocol,
      fromPort: rule.port,
      toPort: rule.lastPort ?? rule.port,
      cidrIpv4: cidr,
    },
  }));
}

function byGroup(kind: SecurityRule['kind'], of: Group, from: Group, port: number): SecurityRule {
  const way = kind === 'SecurityGroupIngressRule' ? 'from' : 'to';
  return {
    name: `${of}-${way}-${from}-${port}`,
    kind,
    of,
    from,
    fields: { description: `${of} ${way} ${from}`, ipProtocol: 'tcp', fromPort: port, toPort: port },
  };
}
