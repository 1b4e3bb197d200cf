// The server's configuration, whole and checked: from the text of server.conf and the flags that override it. Nothing else reads the file.
import { isIP } from 'node:net';
import * as z from 'zod';
import type { HclObject, HclValue } from '../../hcl/value.ts';
import { createHclReader } from '../../hcl/reader.ts';
import { isHclObject } from '../../hcl/value.ts';
import type { LogFormat, LogLevel } from '../../log.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { TelemetryConfig } from '../../telemetry/config.ts';
import { readTelemetry } from '../../telemetry/config.ts';
import type { AuthorityConfig, CaSubject } from '../ca/authority.ts';
import { experimentalFaults, unusedExperimentalKeys } from './experimental-section.ts';
import { federationConfig, federationFaults, federationWarnings } from './federation-section.ts';
import type { FederationConfig } from './federation-section.ts';
import { block, ConfigError, faultsOf, flag, text } from './hcl-schema.ts';
import type { LoadData, PluginsConfig } from './plugins-section.ts';
import { readPlugins } from './plugins-section.ts';
import { serverSection } from './server-section.ts';
import type { ServerSection } from './server-section.ts';
import { ttlWarnings } from './ttl-warnings.ts';

export interface HealthConfig {
  readonly host: string;
  readonly port: number;
  readonly livePath: string;
  readonly readyPath: string;
}

export interface ServerConfig {
  readonly trustDomain: TrustDomain;
  readonly bindAddress: string;
  readonly bindPort: number;
  readonly socketPath: string;
  readonly dataDir: string;
  readonly log: {
    readonly level: LogLevel;
    readonly format: LogFormat;
    readonly file?: string;
    readonly sourceLocation: boolean;
  };
  readonly adminIds: readonly SpiffeId[];
  readonly auditLog: boolean;
  readonly rateLimit: { readonly attestation: boolean; readonly signing: boolean };
  readonly authority: AuthorityConfig;
  readonly federation: FederationConfig;
  /** Agents whose SVIDs ended this long ago are forgotten (ms). */
  readonly pruneAgents?: {
    readonly expiredForMs: number;
    readonly includeNonReattestable: boolean;
    /** At most so many at a time. */
    readonly batchSize: number;
  };
  /** For so long an agent's record is believed without asking the store (ms). */
  readonly agentStalenessMs: number;
  /** Networks whose word on a connection's origin is believed. */
  readonly trustedProxies: readonly string[];
  /** Profiles are served on this port of loopback; absent where they are not. */
  readonly profilingPort?: number;
  /** How the caches follow the store (ms). */
  readonly changes: { readonly pollMs?: number; readonly retentionMs?: number };
  readonly plugins: PluginsConfig;
  readonly telemetry: TelemetryConfig;
  /** Absent where the listener is not enabled. */
  readonly health?: HealthConfig;
  /** What the operator should hear about at start. */
  readonly warnings: readonly string[];
}

/** SPIRE's. */
const defaultPruneBatch = 1_000;

const topLevelKeys = ['server', 'plugins', 'health_checks', 'telemetry'];

const healthSection = block(
  z.strictObject({
    listener_enabled: flag.default(false),
    bind_address: text.default('localhost'),
    bind_port: text
      .default('80')
      .refine((value) => /^\d{1,5}$/.test(value) && Number(value) <= 65_535, { error: 'want a port number' }),
    live_path: text.default('/live'),
    ready_path: text.default('/ready'),
  }),
);

/** Throws a ConfigError with every fault. `overrides` are keys of the `server` section given as flags. */
export function parseServerConfig(file: HclObject, overrides: HclObject = {}, load: LoadData = noFiles): ServerConfig {
  const faults = Object.keys(file)
    .filter((key) => !topLevelKeys.includes(key))
    .map((key) => `${key}: unknown key`);
  const server = serverSection.safeParse(withOverrides(file['server'], overrides));
  if (!server.success) faults.push(...faultsOf(server.error, ['server']));
  const health = healthSection.optional().safeParse(file['health_checks']);
  if (!health.success) faults.push(...faultsOf(health.error, ['health_checks']));
  const plugins = readPlugins(file['plugins'], faults, load);
  const telemetry = telemetryConfig(file, faults);
  if (server.success) {
    const { bind_address: address, federation, trust_domain: trustDomain } = server.data;
    faults.push(...checkAddress(address), ...federationFaults(federation, trustDomain), ...sectionFaults(server.data));
  }
  if (faults.length > 0 || plugins === undefined || !server.success || !health.success) throw new ConfigError(faults);

  const section = server.data;
  const warnings = [
    ...unusedKeys(section, telemetry),
    ...ttlWarnings(section),
    ...federationWarnings(section.federation),
  ];
  return {
    trustDomain: section.trust_domain,
    bindAddress: stripBrackets(section.bind_address),
    bindPort: section.bind_port,
    socketPath: section.socket_path,
    dataDir: section.data_dir,
    log: {
      level: section.log_level,
      format: section.log_format,
      sourceLocation: section.log_source_location,
      ...(section.log_file === undefined ? {} : { file: section.log_file }),
    },
    adminIds: section.admin_ids,
    auditLog: section.audit_log_enabled,
    rateLimit: section.ratelimit,
    authority: authorityConfig(section),
    federation: federationConfig(section.federation),
    agentStalenessMs: section.max_attested_node_info_staleness,
    trustedProxies: section.proxy_protocol_trusted_cidrs,
    changes: changesConfig(section.experimental),
    plugins,
    telemetry,
    warnings,
    ...(section.profiling_enabled ? { profilingPort: section.profiling_port } : {}),
    ...pruneConfig(section),
    ...healthConfig(health.data),
  };
}

function noFiles(path: string): never {
  throw new Error(`${path} is not read here`);
}

function withOverrides(server: HclValue | undefined, overrides: HclObject): unknown {
  const [first, ...others] = Array.isArray(server) ? server : [server];
  if (others.length > 0 || (first !== undefined && !isHclObject(first))) return server;
  return first === undefined && Object.keys(overrides).length === 0 ? undefined : { ...first, ...overrides };
}

function checkAddress(address: string): string[] {
  return address === '' ? ['bind_address and bind_port must be configured'] : [];
}

/** `[::1]` is written in brackets in some files. */
function stripBrackets(address: string): string {
  const inner = /^\[(.*)\]$/.exec(address)?.[1];
  return inner !== undefined && isIP(inner) === 6 ? inner : address;
}

function authorityConfig(section: ServerSection): AuthorityConfig {
  return {
    caTtl: section.ca_ttl,
    caKeyType: section.ca_key_type,
    jwtKeyType: section.jwt_key_type ?? section.ca_key_type,
    x509SvidTtl: section.default_x509_svid_ttl,
    jwtSvidTtl: section.default_jwt_svid_ttl,
    disableJwtSvids: section.disable_jwt_svids,
    ttlLattice: section.ttl_lattice,
    ...(section.jwt_issuer === undefined ? {} : { jwtIssuer: section.jwt_issuer }),
    ...(section.agent_ttl === undefined ? {} : { agentTtl: section.agent_ttl }),
    ...(section.ca_subject === undefined ? {} : { caSubject: subjectOf(section.ca_subject) }),
  };
}

function subjectOf(subject: NonNullable<ServerSection['ca_subject']>): CaSubject {
  const [country] = subject.country ?? [];
  const [organization] = subject.organization ?? [];
  return {
    ...(country === undefined ? {} : { country }),
    ...(organization === undefined ? {} : { organization }),
    ...(subject.common_name === undefined ? {} : { commonName: subject.common_name }),
  };
}

function pruneConfig(section: ServerSection): Pick<ServerConfig, 'pruneAgents'> {
  const expiredForMs = section.prune_attested_nodes_expired_for;
  if (expiredForMs === undefined) return {};
  const batchSize = section.prune_attested_nodes_batch_size || defaultPruneBatch;
  return { pruneAgents: { expiredForMs, includeNonReattestable: section.prune_tofu_nodes, batchSize } };
}

function changesConfig(section: ServerSection['experimental']): ServerConfig['changes'] {
  return {
    ...(section?.cache_reload_interval === undefined ? {} : { pollMs: section.cache_reload_interval }),
    ...(section?.prune_events_older_than === undefined ? {} : { retentionMs: section.prune_events_older_than }),
  };
}

function sectionFaults(section: ServerSection): string[] {
  const faults = experimentalFaults(section.experimental);
  if (section.profiling_enabled && section.profiling_port === 0)
    faults.push('server.profiling_port: must be configured where profiling_enabled is true');
  return faults;
}

function healthConfig(section: z.output<typeof healthSection> | undefined): Pick<ServerConfig, 'health'> {
  if (section?.listener_enabled !== true) return {};
  const { bind_address: host, bind_port, live_path: livePath, ready_path: readyPath } = section;
  return { health: { host: stripBrackets(host), port: Number(bind_port), livePath, readyPath } };
}

function telemetryConfig(file: HclObject, faults: string[]): TelemetryConfig {
  const { telemetry } = file;
  const reader = createHclReader(telemetry === undefined ? {} : { telemetry });
  const config = readTelemetry(reader);
  faults.push(...reader.faults().map(({ place, message }) => `${place}: ${message}`));
  return config;
}

function unusedKeys(section: ServerSection, telemetry: TelemetryConfig): string[] {
  const keys = [...unusedExperimentalKeys(section.experimental), ...telemetry.ignored];
  return keys.map((key) => `${key} is configured but has no effect in this server`);
}
