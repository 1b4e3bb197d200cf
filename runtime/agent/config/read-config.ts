// Reads an agent's configuration as SPIRE's agent does: the same keys, the same defaults, unknown keys refused, all faults reported together.
import { resolve } from 'node:path';
import { createHclReader } from '../../hcl/reader.ts';
import type { HclReader } from '../../hcl/reader.ts';
import type { HclObject } from '../../hcl/value.ts';
import { parseLogFormat, parseLogLevel } from '../../log.ts';
import { parseKeyType } from '../../pki/key-type.ts';
import { TrustDomain, parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { readTelemetry } from '../../telemetry/config.ts';
import type { AgentConfig, HealthConfig } from './agent-config.ts';
import { defaultSocketPath } from './default-socket.ts';
import { readAdminSocketPath, readDelegates } from './read-admin.ts';
import { readBundleSource } from './read-bundle-source.ts';
import { readCacheHitTimeout } from './read-cache-hit-timeout.ts';
import { readRateLimits, readSds, readShares } from './read-endpoint.ts';
import { readPlugins } from './read-plugins.ts';
import { readRebootstrap } from './read-rebootstrap.ts';
import { readRefused } from './read-refused.ts';

const defaultCacheSize = 1000;
const shortestAvailabilityTargetMs = 24 * 3_600_000;

/** Throws a ConfigError. */
export function readAgentConfig(file: HclObject): AgentConfig {
  const root = createHclReader(file);
  const agent = root.block('agent');
  const plugins = readPlugins(root.block('plugins'));
  const health = readHealth(root);
  const experimental = agent.optionalBlock('experimental');
  const telemetry = readTelemetry(root);
  readRefused(agent, experimental);
  if (!agent.has('server_address')) agent.fault('server_address', 'must be configured');
  if (!agent.has('server_port')) agent.fault('server_port', 'must be configured');

  const joinToken = agent.optionalString('join_token');
  const disableWorkloadApi = agent.optionalBoolean('disable_workload_api') === true;
  const sds = readSds(agent);
  const trustDomain = readTrustDomain(agent);
  const bundleSource = readBundleSource(agent);
  const socketPath = socketPathOf(agent, disableWorkloadApi && sds === undefined);
  const config: AgentConfig = {
    trustDomain,
    server: { host: agent.optionalString('server_address') ?? '', port: agent.optionalNumber('server_port') ?? 0 },
    dataDir: agent.optionalString('data_dir') ?? '.',
    socketPath,
    disableWorkloadApi,
    adminSocketPath: readAdminSocketPath(agent, socketPath),
    authorizedDelegates: readDelegates(agent, trustDomain),
    sds,
    rateLimits: readRateLimits(experimental),
    shares: readShares(experimental),
    bundleSource,
    rebootstrap: readRebootstrap(agent, bundleSource),
    joinToken: joinToken === '' ? undefined : joinToken,
    log: {
      level: readWord(agent, 'log_level', parseLogLevel) ?? 'info',
      format: readWord(agent, 'log_format', parseLogFormat) ?? 'text',
      file: agent.optionalString('log_file'),
      sourceLocation: agent.optionalBoolean('log_source_location') === true,
    },
    logSelectors: agent.strings('log_selectors'),
    ...plugins,
    syncIntervalMs: experimental?.optionalDuration('sync_interval') ?? 5_000,
    useSyncAuthorizedEntries: experimental?.optionalBoolean('use_sync_authorized_entries') ?? true,
    x509SvidCacheMaxSize: readSize(agent, 'x509_svid_cache_max_size'),
    jwtSvidCacheMaxSize: readSize(agent, 'jwt_svid_cache_max_size'),
    jwtSvidCacheHitTimeoutMs: readCacheHitTimeout(experimental),
    workloadKeyType: agent.parsed('workload_x509_svid_key_type', parseWorkloadKeyType) ?? 'ec-p256',
    availabilityTargetMs: readAvailabilityTarget(agent),
    allowUnauthenticatedVerifiers: agent.optionalBoolean('allow_unauthenticated_verifiers') === true,
    allowedForeignJwtClaims: new Set(agent.strings('allowed_foreign_jwt_claims')),
    health,
    ignored: telemetry.ignored,
    telemetry,
  };
  if (config.nodeAttestor === undefined && config.joinToken === undefined) {
    root.fault('plugins.NodeAttestor', 'must stand once unless there is a join token');
  }
  root.finish();
  return config;
}

function socketPathOf(agent: HclReader, disabled: boolean): string | undefined {
  const path = resolve(agent.optionalString('socket_path') ?? defaultSocketPath);
  return disabled ? undefined : path;
}

function readTrustDomain(agent: HclReader): TrustDomain {
  if (!agent.has('trust_domain')) agent.fault('trust_domain', 'must be configured');
  return agent.parsed('trust_domain', parseTrustDomain) ?? TrustDomain.fromName('unset');
}

function readWord<T>(agent: HclReader, key: string, parse: (text: string) => T | undefined): T | undefined {
  return agent.parsed(key, (text) => {
    const value = parse(text);
    if (value === undefined) throw new Error('unknown value');
    return value;
  });
}

/** The names of SPIRE's agent: its workload keys are P-256 or RSA-2048. */
function parseWorkloadKeyType(text: string) {
  const type = parseKeyType(text);
  if (type === 'ec-p256' || type === 'rsa-2048') return type;
  throw new Error('key type must be ec-p256 or rsa-2048');
}

function readSize(agent: HclReader, key: string): number {
  const size = agent.optionalNumber(key) ?? 0;
  if (size < 0) agent.fault(key, 'must not be negative');
  return size === 0 ? defaultCacheSize : size;
}

function readAvailabilityTarget(agent: HclReader): number {
  const target = agent.optionalDuration('availability_target') ?? 0;
  if (target !== 0 && target < shortestAvailabilityTargetMs)
    agent.fault('availability_target', 'must be at least 24h0m0s');
  return target;
}

function readHealth(root: HclReader): HealthConfig | undefined {
  const health = root.optionalBlock('health_checks');
  if (health === undefined) return undefined;
  const config = {
    host: health.optionalString('bind_address') ?? 'localhost',
    port: health.optionalNumber('bind_port') ?? 80,
    livePath: health.optionalString('live_path') ?? '/live',
    readyPath: health.optionalString('ready_path') ?? '/ready',
  };
  return health.optionalBoolean('listener_enabled') === true ? config : undefined;
}
