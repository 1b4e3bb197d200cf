// The shape of a trust domain's specification: one schema for `trust-domain.yaml`, the workflows' input and the composite resource.
// Shape and defaults only; what no shape can say (lattice, duplicates, references) is in check-spec.ts.
import { z } from 'zod';
import { parseDuration } from '../../runtime/spiffe/duration.ts';

const cloud = z.enum(['gcp', 'aws']);
const duration = z
  .string()
  .regex(/^(\d+(\.\d+)?(h|m|s|ms))+$/, { error: 'must be a duration with units, such as 12h or 1h30m', abort: true })
  .refine(isUsableTtl, 'must be longer than nothing and shorter than 292 years');
/** Region names of both clouds: lower-case words, digits and dashes. */
const region = z.string().regex(/^[a-z]+(-[a-z0-9]+)+$/, 'must be a region name, such as us-central1 or us-east-1');
const label = z
  .string()
  .regex(
    /^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/,
    'must be 1 to 32 lower-case letters, digits and dashes, starting with a letter',
  );
const pathSegment = z
  .string()
  .regex(/^[A-Za-z0-9._-]+$/, 'must be one path segment of letters, digits, dots, dashes and underscores');

export const workloadSchema = z.strictObject({
  /** Of a segment, or of a cluster. */
  segment: z.string(),
  environment: z.enum(['prod', 'staging', 'dev', 'poc']),
  team: pathSegment,
  name: label,
  /** `type:value`; `{image}` stands for the machine image's root, empty on a real machine. */
  selectors: z.array(z.string()).min(1, 'must name at least one selector'),
});

export const segmentSchema = z.strictObject({
  name: label,
  cloud,
  region,
  servers: z.int().min(1).max(9).default(1),
  nodes: z.int().min(1).max(5000).default(2),
  attestor: z.enum(['gcp_iit', 'aws_iid']),
  intermediateTtl: duration.default('12h'),
});

/** With a tag or a digest: what a cluster runs is the same wherever a pod is made again. */
const image = z
  .string()
  .regex(/^[a-z0-9][A-Za-z0-9.:/_-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$/, {
    error: 'must be an image with a tag or a digest, such as registry.example.org/espalier-runtime:0.1.0',
    abort: true,
  })
  .refine((reference) => !reference.endsWith(':latest'), 'must have a tag that stays what it is');

/** A cluster of Kubernetes: its server stands below the upstream, its nodes attest there. */
export const clusterSchema = z.strictObject({
  name: label,
  /** The word in SPIFFE IDs: where the cluster is, never that it is one. */
  platform: z.enum(['gcp', 'aws', 'azure', 'onprem']),
  /** Of the worker's kubeconfig; the cluster that the worker runs in where nothing is said. */
  context: z
    .string()
    .regex(/^[^\s/]([^\s]{0,251}[^\s])?$/, 'must be the name of a context: 1 to 253 characters without white space')
    .optional(),
  servers: z.int().min(1).max(9).default(1),
  intermediateTtl: duration.default('12h'),
  image,
  /** Of the volumes of servers and database; the cluster's own default where nothing is said. */
  storageClass: z
    .string()
    .regex(/^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/, 'must be the name of a storage class')
    .optional(),
  /** How the control plane reaches the servers. */
  expose: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP'),
});

export const ttlSchema = z.strictObject({
  root: duration.default('8760h'),
  x509Svid: duration.default('1h'),
  jwtSvid: duration.default('5m'),
});

export const trustDomainSchema = z.strictObject({
  trustDomain: z.string(),
  /** Where the clouds are, and who makes what is in them: the lab on this machine, the real ones, or Crossplane in one of the two. */
  infrastructure: z.enum(['lab', 'cloud', 'crossplane']).default('lab'),
  keyType: z.enum(['ec-p256', 'ec-p384', 'rsa-2048', 'rsa-4096']).default('ec-p256'),
  ttl: ttlSchema.default({ root: '8760h', x509Svid: '1h', jwtSvid: '5m' }),
  upstream: z
    .strictObject({
      cloud: cloud.default('gcp'),
      region: region.default('us-central1'),
      servers: z.int().min(1).max(9).default(1),
      /** Self-signed where nothing is said. No default is filled in: what stands is known by the digest of the specification that it was grown from. */
      authority: z.enum(['self-signed', 'disk']).optional(),
    })
    .default({ cloud: 'gcp', region: 'us-central1', servers: 1 }),
  segments: z.array(segmentSchema).min(1, 'must name at least one segment'),
  workloads: z.array(workloadSchema).default([]),
  /** No default is filled in here either. */
  clusters: z.array(clusterSchema).min(1, 'must name at least one cluster where it is there').optional(),
});

export type TrustDomainSpec = z.output<typeof trustDomainSchema>;
export type TrustDomainInput = z.input<typeof trustDomainSchema>;
export type SegmentSpec = TrustDomainSpec['segments'][number];
export type WorkloadSpec = TrustDomainSpec['workloads'][number];
export type ClusterSpec = z.output<typeof clusterSchema>;
/** What stands in SPIFFE IDs for the place that something runs in. */
export type Platform = ClusterSpec['platform'];
export type Cloud = z.output<typeof cloud>;

/** Zero is no lifetime, and Go, in which peers are written, cannot count longer. */
function isUsableTtl(text: string): boolean {
  try {
    return parseDuration(text) > 0;
  } catch {
    return false; // the one way to fail that the pattern leaves is a duration out of range
  }
}
