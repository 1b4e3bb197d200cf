// The whole trust domain: its parts as composite resources of their own, the order in which they may go, and one status for workflows to read.
import { known } from '../../composed.ts';
import type { Built, Json, Scope } from '../../composed.ts';
import { addressOf, childrenOf, composeChild, statusOf } from './children.ts';
import { foundationOf, networkPart } from './foundation.ts';
import { parseWhole } from './specification.ts';
import type { Pool } from './specification.ts';
import { protection, usagesOf } from './usages.ts';

export function buildTrustDomain(scope: Scope, input: Json): Built {
  const whole = parseWhole(input);
  const isFoundation = whole.trustDomain.infrastructure === 'crossplane';
  const children = isFoundation ? foundationOf(scope, whole) : childrenOf(scope, whole);
  const kind = scope.flavour === 'legacy' ? 'XSpireTrustDomain' : 'SpireTrustDomain';
  return {
    resources: [
      ...children.map((child) => composeChild(scope, child)),
      ...usagesOf(scope, children),
      ...(whole.infrastructure.deletionProtection ? [protection(scope, { kind, name: scope.compositeName })] : []),
    ],
    status: { trustDomain: whole.trustDomain.trustDomain, pools: whole.pools.map((pool) => poolStatus(scope, pool)) },
    waitingFor: (isFoundation ? [] : whole.pools)
      .filter(({ name }) => addressOf(scope, name) === undefined)
      .map(({ name }) => `the address of the servers of ${name}`),
  };
}

function poolStatus(scope: Scope, pool: Pool): Json {
  const { name, cloud, region, nodes } = pool;
  const network = statusOf(scope, `network-${name}`)['networkId'] ?? statusOf(scope, networkPart(pool))['networkId'];
  const servers = statusOf(scope, `servers-${name}`);
  const datastore = statusOf(scope, `datastore-${name}`);
  return known({
    name,
    cloud,
    region,
    networkId: network,
    address: servers['address'],
    serverGroup: servers['instanceGroup'],
    serverIdentity: servers['identity'],
    nodeGroup: nodes === undefined ? undefined : statusOf(scope, `nodes-${name}`)['instanceGroup'],
    cluster: nodes === undefined ? undefined : statusOf(scope, `nodes-${name}`)['cluster'],
    datastoreAddress: datastore['address'],
    passwordSecret: datastore['passwordSecret'],
  });
}
