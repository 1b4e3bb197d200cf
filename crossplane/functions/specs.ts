// The specifications of the kinds, parsed once. What `crossplane/apis` says in the CRDs' language is said here for the function:
// it takes nothing on trust from whoever validated before.
import { z } from 'zod';
import { segmentSchema, trustDomainSchema } from '../../activities/spec/trust-domain-spec.ts';
import { anyCloud, anyRegion, cloud, needs, region } from './clouds.ts';

const cidr = z.cidrv4('must be an IPv4 network, such as 10.1.0.0/16');
const cidrs = z.array(cidr).default([]);
const reference = z.strictObject({ name: z.string().min(1) });

/** Of a thing in Azure that is made elsewhere. */
const azureId = (type: string) =>
  z.string().regex(new RegExp(`^/subscriptions/.+/${type}/[^/]+$`), `must be the id of one of Azure's ${type}`);

const common = {
  trustDomain: trustDomainSchema.shape.trustDomain,
  providerConfig: z.string().min(1).default('default'),
  cloud,
  region,
  /** The project of Google Cloud. */
  project: z.string().min(1).optional(),
};
const anywhere = { ...common, cloud: anyCloud, region: anyRegion };

export const networkSchema = z
  .strictObject({
    ...anywhere,
    /** Letters of the region's zones that get a subnet; the subnets of Google Cloud and of Azure span them all. */
    zones: z
      .array(z.string().regex(/^[a-z]$/))
      .min(2)
      .max(6)
      .default(['a', 'b']),
    cidr: cidr.default('10.1.0.0/16'),
    /** The trust domain's networks elsewhere, whose agents and servers dial ours, and ours theirs. */
    peerCidrs: cidrs,
    monitoringCidrs: cidrs,
    federationCidrs: cidrs,
    /** Where workloads are that ours speak with, from node to node. */
    workloadCidrs: cidrs,
    overlayCidrs: cidrs,
  })
  .superRefine(needs({}));

export const datastoreSchema = z
  .strictObject({
    ...anywhere,
    networkRef: reference,
    version: z.enum(['14', '15', '16', '17']).default('16'),
    machineType: z.string().min(1).optional(),
    storageGigabytes: z.int().min(20).max(16384).default(20),
    multiZone: z.boolean().default(true),
    backupDays: z.int().min(1).max(35).default(7),
    deletionProtection: z.boolean().default(true),
    /** A secret in the same namespace, or, of a cluster-scoped resource without a claim, in the one that is named; AWS makes and keeps the password itself. */
    passwordSecretRef: z
      .strictObject({ name: z.string().min(1), key: z.string().min(1), namespace: z.string().min(1).optional() })
      .optional(),
    /** Of Azure: the private zone that the server has its name in, linked to the network. */
    privateDnsZoneId: azureId('privateDnsZones').optional(),
  })
  .superRefine(needs({ gcp: ['project', 'passwordSecretRef'], azure: ['passwordSecretRef', 'privateDnsZoneId'] }))
  .refine((spec) => spec.cloud !== 'azure' || spec.backupDays >= 7, {
    path: ['backupDays'],
    message: 'is at least 7 in azure',
  });

export const dnsZoneSchema = z.strictObject({
  ...common,
  networkRef: reference,
  domain: z.string().regex(/^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]+$/, 'must be a domain, such as example.internal'),
  records: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/),
        type: z.enum(['A', 'CNAME']).default('A'),
        /** What is behind decides for how long it may be remembered. */
        at: z.enum(['loadBalancer', 'virtualIp']).default('loadBalancer'),
        values: z.array(z.string().min(1)).min(1),
      }),
    )
    .default([]),
});

/** Readable by whoever may describe machines: what machines need to keep to themselves, they fetch by their own identity. */
const bootScript = z
  .string()
  .max(16_384)
  .refine((text) => !text.includes('PRIVATE KEY'), 'must not hold a private key')
  .refine((text) => !/[a-z]+:\/\/[^ /:@]+:[^ /@]+@/.test(text), 'must not hold an address with a password');

const machine = {
  machineType: z.string().min(1).optional(),
  /** The name that the image gives its first disk, in AWS. */
  rootDevice: z.string().startsWith('/dev/').default('/dev/xvda'),
  bootScript: bootScript.optional(),
};

/** What Azure asks for where the others have an account or a project, and for a public key where nobody is to log in. */
const inAzure = {
  subscription: z.guid().optional(),
  sshPublicKey: z
    .string()
    .max(8192)
    .regex(/^ssh-(rsa|ed25519) [A-Za-z0-9+/=]+( .*)?$/, 'must be a public key, of RSA or Ed25519')
    .optional(),
};
/** The Key Vault that has the secrets. */
const vaultId = azureId('vaults').optional();
function hasVault(spec: { cloud: string; secrets: readonly string[]; vaultId?: string | undefined }): boolean {
  return spec.cloud !== 'azure' || spec.secrets.length === 0 || spec.vaultId !== undefined;
}
const vaultMissing = { path: ['vaultId'], message: 'is needed for secrets in azure' };

const account = z.string().regex(/^\d{12}$/, 'must be an account of AWS, 12 digits');
const secrets = z
  .array(z.string().regex(/^[A-Za-z0-9_-]+$/))
  .max(8)
  .default([]);
/** `upstream`, `server-<segment>` or `node-<segment>`: what a machine is for, and whose rights it has. */
const role = z.string().regex(/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/);
const label = z.string().regex(/^[A-Za-z0-9_.-]{1,63}$/);

export const serverPoolSchema = z
  .strictObject({
    ...anywhere,
    ...machine,
    ...inAzure,
    vaultId,
    networkRef: reference,
    image: z.string().min(1),
    account: account.optional(),
    servers: segmentSchema.shape.servers.unwrap().default(2),
    secrets,
    attestsNodes: z.boolean().default(true),
  })
  .superRefine(needs({ gcp: ['project'], aws: ['account'], azure: ['subscription', 'sshPublicKey'] }))
  .refine(hasVault, vaultMissing);

export const nodePoolSchema = z
  .strictObject({
    ...anywhere,
    ...machine,
    ...inAzure,
    networkRef: reference,
    image: z.string().min(1).optional(),
    platform: z.enum(['machines', 'kubernetes']).default('machines'),
    nodes: segmentSchema.shape.nodes,
    kubernetesVersion: z
      .string()
      .regex(/^1\.\d{2}$/)
      .optional(),
    apiCidrs: cidrs,
  })
  .superRefine(needs({ gcp: ['project'], azure: ['subscription', 'sshPublicKey'] }))
  .refine((spec) => spec.cloud !== 'azure' || spec.platform === 'machines', {
    path: ['platform'],
    message: 'is machines in azure',
  })
  .refine((spec) => spec.cloud !== 'azure' || spec.nodes <= 1000, {
    path: ['nodes'],
    message: 'is at most 1000 in azure',
  })
  .refine((spec) => spec.platform !== 'machines' || spec.image !== undefined, {
    path: ['image'],
    message: 'is needed for machines',
  });

/** Whom machines are in their cloud, apart from the machines: it stands before the first of them and has no place. */
export const identitySchema = z
  .strictObject({
    trustDomain: common.trustDomain,
    providerConfig: common.providerConfig,
    cloud: anyCloud,
    /** Of Azure, where identities have a place. */
    region: anyRegion.optional(),
    project: common.project,
    account: account.optional(),
    vaultId,
    role,
    secrets,
    describesInstances: z.boolean().default(false),
    takesCommands: z.boolean().default(false),
    /** Taken by an identity of Google Cloud instead of by machines. */
    webIdentity: z.strictObject({ subject: z.string().regex(/^\d+$/), audience: z.string().min(1) }).optional(),
  })
  .superRefine(needs({ gcp: ['project'], aws: ['account'], azure: ['region'] }))
  .refine(hasVault, vaultMissing)
  .refine((spec) => spec.cloud === 'aws' || spec.webIdentity === undefined, {
    path: ['webIdentity'],
    message: 'is of aws alone',
  });

/** One machine that workflows know by name. */
export const machineSchema = z
  .strictObject({
    ...common,
    networkRef: reference,
    name: z.string().regex(/^[a-z]([a-z0-9-]{0,42}[a-z0-9])?$/),
    role,
    owner: label,
    settings: label.optional(),
    release: label.optional(),
    zone: z
      .string()
      .regex(/^[a-z]$/)
      .default('a'),
    image: z.string().min(1),
    machineType: machine.machineType,
    bootScript,
    isolated: z.boolean().default(false),
  })
  .superRefine(needs({ gcp: ['project'] }));

export type NetworkSpec = z.output<typeof networkSchema>;
export type DatastoreSpec = z.output<typeof datastoreSchema>;
export type DnsZoneSpec = z.output<typeof dnsZoneSchema>;
export type ServerPoolSpec = z.output<typeof serverPoolSchema>;
export type NodePoolSpec = z.output<typeof nodePoolSchema>;
export type IdentitySpec = z.output<typeof identitySchema>;
export type MachineSpec = z.output<typeof machineSchema>;
