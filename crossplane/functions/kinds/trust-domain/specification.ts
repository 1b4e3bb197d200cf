// The specification of a whole trust domain: the one that workflows take, checked by the same code, and what only its infrastructure needs to know.
import { z } from 'zod';
import { parseTrustDomainSpec } from '../../../../activities/spec/check-spec.ts';
import { trustDomainSchema } from '../../../../activities/spec/trust-domain-spec.ts';
import type { Cloud, TrustDomainSpec } from '../../../../activities/spec/trust-domain-spec.ts';
import type { Json } from '../../composed.ts';
import { datastoreSchema, dnsZoneSchema, nodePoolSchema, serverPoolSchema } from '../../specs.ts';

const providerConfig = serverPoolSchema.shape.providerConfig;

const infrastructureSchema = z.strictObject({
  deletionProtection: z.boolean().default(true),
  /** Where servers have their names; without it they have none. */
  domain: dnsZoneSchema.shape.domain.optional(),
  nodePlatform: nodePoolSchema.shape.platform,
  gcp: z
    .strictObject({
      project: z.string().min(1),
      image: z.string().min(1),
      providerConfig,
      passwordSecretRef: datastoreSchema.shape.passwordSecretRef.unwrap(),
    })
    .optional(),
  aws: z
    .strictObject({ account: serverPoolSchema.shape.account.unwrap(), image: z.string().min(1), providerConfig })
    .optional(),
});

export type InfrastructureSpec = z.output<typeof infrastructureSchema>;

export interface Place {
  readonly cloud: Cloud;
  readonly region: string;
}

/** Servers of one tier in one region, with what they stand on. */
export interface Pool extends Place {
  readonly name: string;
  readonly servers: number;
  readonly cidr: string;
  /** None below the root's own servers. */
  readonly nodes: number | undefined;
}

export interface WholeSpec {
  readonly trustDomain: TrustDomainSpec;
  readonly infrastructure: InfrastructureSpec;
  readonly pools: readonly Pool[];
}

export function parseWhole(input: Json): WholeSpec {
  const isOfWorkflows = (key: string): boolean => key in trustDomainSchema.shape;
  const part = (wanted: boolean): Json =>
    Object.fromEntries(Object.entries(input).filter(([key]) => isOfWorkflows(key) === wanted));
  const infrastructure = infrastructureSchema.parse(part(false));
  const trustDomain = parseTrustDomainSpec(part(true));
  const pools = poolsOf(trustDomain);
  for (const { cloud } of pools)
    if (infrastructure[cloud] === undefined) throw new Error(`spec.${cloud}: is needed, as servers are in ${cloud}`);
  if (trustDomain.infrastructure === 'crossplane') refuseGroups(infrastructure);
  return { trustDomain, infrastructure, pools };
}

/** Machines that workflows make are neither behind a load balancer that could have a name, nor nodes of a cluster. */
function refuseGroups({ domain, nodePlatform }: InfrastructureSpec): void {
  if (domain !== undefined) throw new Error('spec.domain: is of load balancers, and machines of workflows have none');
  if (nodePlatform !== 'machines') throw new Error('spec.nodePlatform: workflows make machines, not clusters');
}

/** The upstream first: downstream servers stand on it. */
function poolsOf({ upstream, segments }: TrustDomainSpec): Pool[] {
  const pools = [
    { name: 'upstream', cloud: upstream.cloud, region: upstream.region, servers: upstream.servers, nodes: undefined },
    ...segments.map(({ name, cloud, region, servers, nodes }) => ({ name, cloud, region, servers, nodes })),
  ];
  return pools.map((pool, index) => ({ ...pool, cidr: `10.${index + 1}.0.0/16` }));
}
