// The composite resources that a trust domain is made of: for each pool of servers a network, a datastore and the servers, for each segment its
// nodes, and the servers' names.
import { databaseSecretName } from '../../../../activities/spec/resource-names.ts';
import { keyOf } from '../../composed.ts';
import { compositeType } from '../../composite.ts';
import type { Composed, Json, Scope } from '../../composed.ts';
import type { Place, Pool, WholeSpec } from './specification.ts';

export type ChildKind = 'SpireNetwork' | 'SpireDatastore' | 'SpireServerPool' | 'SpireNodePool' | 'SpireDnsZone';

export interface Child {
  readonly part: string;
  /** The object's own. */
  readonly name: string;
  readonly kind: ChildKind;
  readonly spec: Json;
}

/** A child's own name: cluster-scoped ones of two namespaces must not meet. */
export function childName(scope: Scope, part: string): string {
  return scope.flavour === 'legacy'
    ? `${scope.name}-${keyOf(scope, scope.name).slice(0, 8)}-${part}`
    : `${scope.name}-${part}`;
}

export function composeChild(scope: Scope, { part, name, kind, spec }: Child): Composed {
  return { name: part, resource: { ...compositeType(scope, kind), metadata: { name }, spec } };
}

export function childrenOf(scope: Scope, whole: WholeSpec): Child[] {
  return whole.pools
    .flatMap((pool) => childrenOfPool(scope, whole, pool))
    .map((child) => ({ ...child, name: childName(scope, child.part) }));
}

function childrenOfPool(scope: Scope, whole: WholeSpec, pool: Pool): Omit<Child, 'name'>[] {
  const { infrastructure, pools } = whole;
  const { trustDomain } = whole.trustDomain;
  const { cloud, name } = pool;
  const { aws } = infrastructure;
  const common = commonOf(whole, pool);
  const networkRef = { name: childName(scope, `network-${name}`) };
  const image = infrastructure[cloud]?.image;
  return [
    {
      part: `network-${name}`,
      kind: 'SpireNetwork',
      spec: {
        ...common,
        cidr: pool.cidr,
        peerCidrs: pools.filter((other) => other !== pool).map(({ cidr }) => cidr),
        workloadCidrs: pools.filter(({ nodes }) => nodes !== undefined).map(({ cidr }) => cidr),
      },
    },
    {
      part: `datastore-${name}`,
      kind: 'SpireDatastore',
      spec: datastoreSpec(scope, whole, pool, networkRef.name),
    },
    {
      part: `servers-${name}`,
      kind: 'SpireServerPool',
      spec: {
        ...common,
        networkRef,
        image,
        servers: pool.servers,
        secrets: [databaseSecretName(trustDomain, name)],
        ...(cloud === 'aws' ? { account: aws?.account } : {}),
      },
    },
    ...(pool.nodes === undefined
      ? []
      : [
          {
            part: `nodes-${name}`,
            kind: 'SpireNodePool' as const,
            spec: {
              ...common,
              networkRef,
              nodes: pool.nodes,
              platform: infrastructure.nodePlatform,
              ...(infrastructure.nodePlatform === 'machines' ? { image } : {}),
            },
          },
        ]),
    ...(infrastructure.domain === undefined
      ? []
      : [
          {
            part: `names-${name}`,
            kind: 'SpireDnsZone' as const,
            spec: { ...common, networkRef, domain: infrastructure.domain, records: recordsOf(scope, pools) },
          },
        ]),
  ];
}

export function commonOf({ trustDomain: { trustDomain }, infrastructure }: WholeSpec, { cloud, region }: Place): Json {
  const { gcp, aws } = infrastructure;
  return {
    trustDomain,
    cloud,
    region,
    ...(cloud === 'gcp'
      ? { project: gcp?.project, providerConfig: gcp?.providerConfig }
      : { providerConfig: aws?.providerConfig }),
  };
}

export function datastoreSpec(scope: Scope, whole: WholeSpec, pool: Place, network: string): Json {
  const { deletionProtection, gcp } = whole.infrastructure;
  // Legacy composite resources have no namespace that a secret could be looked for in.
  const secretNamespace = scope.flavour === 'legacy' ? { namespace: scope.namespace } : {};
  return {
    ...commonOf(whole, pool),
    networkRef: { name: network },
    deletionProtection,
    ...(pool.cloud === 'gcp' ? { passwordSecretRef: { ...gcp?.passwordSecretRef, ...secretNamespace } } : {}),
  };
}

/** Of the servers whose address is known. */
function recordsOf(scope: Scope, pools: readonly Pool[]): Json[] {
  return pools.flatMap(({ name, cloud }) => {
    const address = addressOf(scope, name);
    if (address === undefined) return [];
    const host = name === 'upstream' ? 'spire-upstream' : `spire-downstream-${name}`;
    // AWS' load balancers have names, Google's addresses.
    return [{ name: host, type: cloud === 'aws' ? 'CNAME' : 'A', at: 'loadBalancer', values: [address] }];
  });
}

export function addressOf(scope: Scope, pool: string): string | undefined {
  const address = statusOf(scope, `servers-${pool}`)['address'];
  return typeof address === 'string' ? address : undefined;
}

export function statusOf(scope: Scope, part: string): Json {
  const status = scope.observed(part)?.['status'];
  return typeof status === 'object' && status !== null ? (status as Json) : {};
}
