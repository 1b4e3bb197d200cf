// What the socket for workloads offers: the Workload API, Envoy's secret discovery, and how often either may be called.
import type { HclReader } from '../../hcl/reader.ts';
import type { Shares } from '../../rpc/shares.ts';
import type { SdsConfig } from '../sds/resources.ts';
import type { RateLimits } from '../workload-api/rate-limit.ts';

const defaults = { svid: 'default', bundle: 'ROOTCA', allBundles: 'ALL' } as const;

/** Undefined where it is disabled; its block is checked all the same. */
export function readSds(agent: HclReader): SdsConfig | undefined {
  const sds = agent.optionalBlock('sds');
  const config = {
    defaultSvidName: nameOf(sds, 'default_svid_name') ?? defaults.svid,
    defaultBundleName: nameOf(sds, 'default_bundle_name') ?? defaults.bundle,
    defaultAllBundlesName: nameOf(sds, 'default_all_bundles_name') ?? defaults.allBundles,
    disableSpiffeCertValidation: sds?.optionalBoolean('disable_spiffe_cert_validation') === true,
  };
  return agent.optionalBoolean('disable_sds_api') === true ? undefined : config;
}

/** An empty name is as if there were none. */
function nameOf(sds: HclReader | undefined, key: string): string | undefined {
  const name = sds?.optionalString(key);
  return name === '' ? undefined : name;
}

const limitedMethods = {
  fetch_x509_svid: '/SpiffeWorkloadAPI/FetchX509SVID',
  fetch_jwt_svid: '/SpiffeWorkloadAPI/FetchJWTSVID',
  fetch_x509_bundles: '/SpiffeWorkloadAPI/FetchX509Bundles',
  fetch_jwt_bundles: '/SpiffeWorkloadAPI/FetchJWTBundles',
  stream_secrets: '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets',
  fetch_secrets: '/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets',
} as const;

/** Zero is no limit, as is a key that is not there. */
export function readRateLimits(experimental: HclReader | undefined): RateLimits {
  const block = experimental?.optionalBlock('ratelimit');
  const limits = new Map<string, number>();
  for (const [key, method] of Object.entries(limitedMethods)) {
    const perSecond = block?.optionalNumber(key) ?? 0;
    if (perSecond < 0) block?.fault(key, 'must not be negative');
    if (perSecond > 0) limits.set(method, perSecond);
  }
  return limits;
}

/**
 * Three quarters of the socket's room for a user, as containers of many workloads may run as one; for a process as much as a proxy of a whole node
 * may need.
 */
const shareKeys = {
  connectionsPerProcess: { key: 'max_connections_per_process', most: 512 },
  connectionsPerUser: { key: 'max_connections_per_user', most: 12_288 },
  streamsPerProcess: { key: 'max_streams_per_process', most: 4_096 },
  streamsPerUser: { key: 'max_streams_per_user', most: 24_576 },
  callsPerSecondPerProcess: { key: 'max_calls_per_second_per_process', most: 1_000 },
  callsPerSecondPerUser: { key: 'max_calls_per_second_per_user', most: 4_000 },
} as const;

/** Ours: what one process and one user may have of the socket for workloads. */
export function readShares(experimental: HclReader | undefined): Shares {
  const read = ({ key, most }: { readonly key: string; readonly most: number }): number => {
    const value = experimental?.optionalNumber(key) ?? most;
    if (value < 1) experimental?.fault(key, 'must be at least 1');
    return value;
  };
  return {
    connectionsPerProcess: read(shareKeys.connectionsPerProcess),
    connectionsPerUser: read(shareKeys.connectionsPerUser),
    streamsPerProcess: read(shareKeys.streamsPerProcess),
    streamsPerUser: read(shareKeys.streamsPerUser),
    callsPerSecondPerProcess: read(shareKeys.callsPerSecondPerProcess),
    callsPerSecondPerUser: read(shareKeys.callsPerSecondPerUser),
  };
}
