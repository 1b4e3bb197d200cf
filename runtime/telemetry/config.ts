// The `telemetry` section, the same in server.conf and agent.conf: SPIRE's keys, strictly read. What it asks for and cannot have is a fault.
import type { HclReader } from '../hcl/reader.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { parseSpiffeId } from '../spiffe/spiffe-id.ts';

export interface FileTls {
  readonly kind: 'files';
  readonly certFile: string;
  readonly keyFile: string;
  /** Whose clients alone are let in. */
  readonly clientCaFile?: string;
}

export interface SvidTls {
  readonly kind: 'svid';
}

export interface PrometheusConfig {
  readonly host: string;
  readonly port: number;
  readonly tls?: FileTls | SvidTls;
  /** Clients with one of these SPIFFE IDs alone are let in; empty where nothing is said of them. */
  readonly authorizedIds: readonly SpiffeId[];
}

export interface TelemetryConfig {
  readonly prometheus?: PrometheusConfig;
  /** Empty: the program's own. */
  readonly prefix: string;
  readonly trustDomainLabel: boolean;
  readonly hostnameLabel: boolean;
  readonly allowedPrefixes: readonly string[];
  readonly blockedPrefixes: readonly string[];
  readonly allowedLabels: readonly string[] | undefined;
  readonly blockedLabels: readonly string[];
  /** Keys that are read and change nothing. */
  readonly ignored: readonly string[];
}

export const noTelemetry: TelemetryConfig = {
  prefix: '',
  trustDomainLabel: false,
  hostnameLabel: true,
  allowedPrefixes: [],
  blockedPrefixes: [],
  allowedLabels: undefined,
  blockedLabels: [],
  ignored: [],
};

/** Sinks that are pushed to. Whoever counts on them must not run without. */
const missingSinks = ['DogStatsd', 'Statsd', 'M3'] as const;

/** Faults are the reader's. */
export function readTelemetry(root: HclReader): TelemetryConfig {
  const section = root.optionalBlock('telemetry');
  if (section === undefined) return noTelemetry;
  for (const sink of missingSinks) {
    if (section.has(sink)) section.fault(sink, 'not supported: metrics are read from Prometheus');
    section.ignore(sink);
  }
  const prometheus = readPrometheus(section.optionalBlock('Prometheus'));
  section.object('InMem');
  return {
    ...(prometheus === undefined ? {} : { prometheus }),
    prefix: section.optionalString('MetricPrefix') ?? '',
    trustDomainLabel: section.optionalBoolean('EnableTrustDomainLabel') ?? false,
    hostnameLabel: section.optionalBoolean('EnableHostnameLabel') ?? true,
    allowedPrefixes: section.strings('AllowedPrefixes'),
    blockedPrefixes: section.strings('BlockedPrefixes'),
    allowedLabels: section.optionalStrings('AllowedLabels'),
    blockedLabels: section.strings('BlockedLabels'),
    ignored: section.has('InMem') ? ['telemetry.InMem'] : [],
  };
}

function readPrometheus(block: HclReader | undefined): PrometheusConfig | undefined {
  if (block === undefined) return undefined;
  const host = block.optionalString('host') ?? '';
  const port = block.number('port');
  if (port < 0 || port > 65_535) block.fault('port', `must be a port number: ${port}`);
  const tls = block.optionalBlock('tls');
  return {
    host: host === '' ? 'localhost' : host,
    port,
    ...(tls === undefined ? { authorizedIds: [] } : readTls(tls)),
  };
}

function readTls(tls: HclReader): Pick<PrometheusConfig, 'tls' | 'authorizedIds'> {
  const certFile = tls.optionalString('cert_file') ?? '';
  const keyFile = tls.optionalString('key_file') ?? '';
  const clientCaFile = tls.optionalString('client_ca_file') ?? '';
  const useSvid = tls.optionalBoolean('use_spire_svid') ?? false;
  const authorizedIds = tls.strings('authorized_spiffe_ids').flatMap((text) => {
    try {
      return [parseSpiffeId(text)];
    } catch (error) {
      tls.fault('authorized_spiffe_ids', `${JSON.stringify(text)} is no SPIFFE ID: ${(error as Error).message}`);
      return [];
    }
  });
  if (useSvid && (certFile !== '' || keyFile !== ''))
    tls.fault('cert_file, key_file', 'cannot be configured when use_spire_svid is enabled');
  if (!useSvid && (certFile === '' || keyFile === ''))
    tls.fault('cert_file, key_file', 'must both be configured unless use_spire_svid is enabled');
  if (authorizedIds.length > 0 && clientCaFile !== '')
    tls.fault('client_ca_file', 'cannot be configured with authorized_spiffe_ids');
  // The names of a plain certificate's clients are what the operator says; an SVID's holder admits whom the trust domain knows, or anybody.
  if (useSvid && clientCaFile !== '')
    tls.fault('client_ca_file', 'cannot be configured when use_spire_svid is enabled');
  if (useSvid) return { tls: { kind: 'svid' }, authorizedIds };
  return {
    tls: { kind: 'files', certFile, keyFile, ...(clientCaFile === '' ? {} : { clientCaFile }) },
    authorizedIds,
  };
}
