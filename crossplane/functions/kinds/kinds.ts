// The kinds that the function builds: what each specification is parsed by, and who builds it in each cloud.
import type { z } from 'zod';
import type { Built, Json, Scope } from '../composed.ts';
import {
  datastoreSchema,
  dnsZoneSchema,
  identitySchema,
  machineSchema,
  networkSchema,
  nodePoolSchema,
  serverPoolSchema,
} from '../specs.ts';
import { buildAwsDatastore } from './datastore/aws.ts';
import { buildAzureDatastore } from './datastore/azure.ts';
import { buildGcpDatastore } from './datastore/gcp.ts';
import { buildAwsDnsZone } from './dns-zone/aws.ts';
import { buildGcpDnsZone } from './dns-zone/gcp.ts';
import { buildAwsIdentity } from './identity/aws.ts';
import { buildAzureIdentity } from './identity/azure.ts';
import { buildGcpIdentity } from './identity/gcp.ts';
import { buildAwsMachine } from './machine/aws.ts';
import { buildGcpMachine } from './machine/gcp.ts';
import { buildAwsNetwork } from './network/aws.ts';
import { buildAzureNetwork } from './network/azure.ts';
import { buildGcpNetwork } from './network/gcp.ts';
import { buildAwsNodePool } from './node-pool/aws.ts';
import { buildAzureNodePool } from './node-pool/azure.ts';
import { buildGcpNodePool } from './node-pool/gcp.ts';
import { buildAwsServerPool } from './server-pool/aws.ts';
import { buildAzureServerPool } from './server-pool/azure.ts';
import { buildGcpServerPool } from './server-pool/gcp.ts';
import { buildTrustDomain } from './trust-domain/build.ts';

export interface Kind {
  /** Throws where the specification is not sound. */
  build(scope: Scope, spec: Json): Built;
}

type Builder<S> = (scope: Scope, spec: S) => Built;

function inClouds<C extends string, S extends { readonly cloud: C }>(
  schema: z.ZodType<S>,
  builders: Readonly<Record<C, Builder<S>>>,
): Kind {
  return {
    build(scope, input) {
      const spec = schema.parse(input);
      return builders[spec.cloud](scope, spec);
    },
  };
}

/** By the name that users know; legacy composite resources have an X before it. */
export const kinds: Readonly<Record<string, Kind>> = {
  SpireTrustDomain: { build: buildTrustDomain },
  SpireNetwork: inClouds(networkSchema, { aws: buildAwsNetwork, gcp: buildGcpNetwork, azure: buildAzureNetwork }),
  SpireServerPool: inClouds(serverPoolSchema, {
    aws: buildAwsServerPool,
    gcp: buildGcpServerPool,
    azure: buildAzureServerPool,
  }),
  SpireNodePool: inClouds(nodePoolSchema, { aws: buildAwsNodePool, gcp: buildGcpNodePool, azure: buildAzureNodePool }),
  SpireIdentity: inClouds(identitySchema, { aws: buildAwsIdentity, gcp: buildGcpIdentity, azure: buildAzureIdentity }),
  SpireMachine: inClouds(machineSchema, { aws: buildAwsMachine, gcp: buildGcpMachine }),
  SpireDatastore: inClouds(datastoreSchema, {
    aws: buildAwsDatastore,
    gcp: buildGcpDatastore,
    azure: buildAzureDatastore,
  }),
  SpireDnsZone: inClouds(dnsZoneSchema, { aws: buildAwsDnsZone, gcp: buildGcpDnsZone }),
};
