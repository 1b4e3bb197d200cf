// A network in Azure, in a resource group of its own: one subnet for machines and one that PostgreSQL is given, and the rules of servers and nodes, with
// everything else refused both ways, as Azure's own rules let a network speak with itself and with everybody outside.
import { reported } from '../../composed.ts';
import type { Built, Composed, Json, Scope } from '../../composed.ts';
import { managedResource } from '../../managed-resource.ts';
import { partLabels, partOf } from '../../parts.ts';
import type { NetworkSpec } from '../../specs.ts';
import { networkGroup } from '../azure-ids.ts';
import { everyRule, portsOf } from './rules.ts';
import type { Rule } from './rules.ts';
import { subnetOf } from './subnets.ts';

const firstPriority = 100;
/** After every rule of ours, before Azure's own. */
const lastPriority = 4096;

export function buildAzureNetwork(scope: Scope, spec: NetworkSpec): Built {
  const location = spec.region;
  const tags = { 'trust-domain': spec.trustDomain };
  const select = (part: string): Json => partOf(scope, scope.name, part);
  const make = (group: string, name: string, kind: string, forProvider: Json, externalName = name): Composed =>
    managedResource(scope, {
      name,
      group,
      kind,
      labels: partLabels(scope, scope.name, name),
      externalName,
      forProvider,
    });
  const inGroup = { resourceGroupNameSelector: select('resource-group') };
  const subnet = (part: string, index: number, fields: Json): Composed =>
    make('network.azure', `subnet-${part}`, 'Subnet', {
      ...inGroup,
      virtualNetworkNameSelector: select('network'),
      addressPrefixes: [subnetOf(spec.cidr, index)],
      ...fields,
    });
  const rule = (of: Rule['of'], name: string, fields: Json): Composed =>
    make('network.azure', name, 'SecurityRule', {
      ...inGroup,
      networkSecurityGroupNameSelector: select(`group-${of}`),
      ...fields,
    });
  return {
    resources: [
      make('azure', 'resource-group', 'ResourceGroup', { location, tags }, networkGroup(scope, scope.name)),
      make('network.azure', 'network', 'VirtualNetwork', { ...inGroup, location, addressSpace: [spec.cidr], tags }),
      // To dial out without an address of their own, which nobody could dial.
      subnet('machines', 0, { defaultOutboundAccessEnabled: true }),
      subnet('datastore', 1, { defaultOutboundAccessEnabled: false, delegation: [toPostgres] }),
      ...(['servers', 'nodes'] as const).flatMap((of) => [
        make('network.azure', `group-${of}`, 'SecurityGroup', { ...inGroup, location, tags }),
        rule(of, `refuse-${of}-ingress`, refuse('Inbound')),
        rule(of, `refuse-${of}-egress`, refuse('Outbound')),
      ]),
      ...everyRule(spec).flatMap((each, index) =>
        each.cidrs.length === 0 ? [] : [rule(each.of, each.name, allow(each, firstPriority + index))],
      ),
    ],
    status: {
      networkId: reported(scope, 'network', 'id'),
      subnetIds: ['machines', 'datastore']
        .map((part) => reported(scope, `subnet-${part}`, 'id'))
        .filter((id) => id !== undefined),
      cidr: spec.cidr,
    },
    waitingFor: [],
  };
}

const toPostgres: Json = {
  name: 'postgresql',
  serviceDelegation: {
    name: 'Microsoft.DBforPostgreSQL/flexibleServers',
    actions: ['Microsoft.Network/virtualNetworks/subnets/join/action'],
  },
};

function allow(rule: Rule, priority: number): Json {
  const { name, direction, protocol, cidrs } = rule;
  return {
    description: name,
    direction: direction === 'ingress' ? 'Inbound' : 'Outbound',
    priority,
    access: 'Allow',
    protocol: protocol === 'tcp' ? 'Tcp' : 'Udp',
    sourcePortRange: '*',
    destinationPortRange: portsOf(rule),
    ...(direction === 'ingress'
      ? { sourceAddressPrefixes: cidrs, destinationAddressPrefix: '*' }
      : { sourceAddressPrefix: '*', destinationAddressPrefixes: cidrs }),
  };
}

function refuse(direction: 'Inbound' | 'Outbound'): Json {
  return {
    direction,
    priority: lastPriority,
    access: 'Deny',
    protocol: '*',
    sourcePortRange: '*',
    destinationPortRange: '*',
    sourceAddressPrefix: '*',
    destinationAddressPrefix: '*',
  };
}
