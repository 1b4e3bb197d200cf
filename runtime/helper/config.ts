// `helper.conf` as spiffe-helper has it: the same keys, the same defaults, and every fault at once, each with its key.
import { createHclReader } from '../hcl/reader.ts';
import type { HclReader } from '../hcl/reader.ts';
import { parseHcl } from '../hcl/parse.ts';
import { endpointVariable, parseEndpointSocket } from '../workloadapi/endpoint.ts';
import { splitArguments } from './arguments.ts';
import { parseSignal } from './process.ts';

export interface X509Files {
  readonly certificate: string;
  readonly key: string;
  readonly bundle: string;
}

export interface JwtFile {
  /** The first is the one that the token must be for; others may follow. */
  readonly audience: readonly [string, ...string[]];
  readonly name: string;
}

export interface HelperConfig {
  /** Path of the Workload API's socket. */
  readonly socketPath: string;
  readonly certDir: string;
  /** File names below `certDir`. */
  readonly x509: X509Files | undefined;
  readonly jwtSvids: readonly JwtFile[];
  readonly jwtBundle: string | undefined;
  readonly modes: {
    readonly certificate: number;
    readonly key: number;
    readonly jwtBundle: number;
    readonly jwtSvid: number;
  };
  readonly addIntermediatesToBundle: boolean;
  readonly includeFederatedDomains: boolean;
  readonly omitExpired: boolean;
  /** Picks the SVID; the first one where it is empty. */
  readonly hint: string;
  readonly daemon: boolean;
  readonly command: { readonly program: string; readonly arguments: readonly string[] } | undefined;
  readonly pidFile: string | undefined;
  readonly renewSignal: NodeJS.Signals | undefined;
  readonly health: { readonly port: number; readonly livePath: string; readonly readyPath: string } | undefined;
  readonly warnings: readonly string[];
}

export interface HelperSurroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `-daemon-mode`, which wins over the file. */
  readonly daemon?: boolean;
}

const defaultSocket = '/tmp/spire-agent/public/api.sock';
const x509Keys = ['svid_file_name', 'svid_key_file_name', 'svid_bundle_file_name'] as const;

/** Throws an HclError, or a ConfigError with every fault. */
export function parseHelperConfig(text: string, file: string, around: HelperSurroundings): HelperConfig {
  const reader = createHclReader(parseHcl(text, file));
  const daemonKey = reader.optionalBoolean('daemon_mode');
  const daemon = around.daemon ?? daemonKey ?? true;
  const config = {
    socketPath: readSocket(reader, around.env),
    certDir: textOf(reader, 'cert_dir') ?? '.',
    x509: readX509(reader),
    jwtSvids: reader.blocks('jwt_svids').flatMap(readJwtSvid),
    jwtBundle: textOf(reader, 'jwt_bundle_file_name'),
    modes: {
      certificate: readMode(reader, 'cert_file_mode', 0o644),
      key: readMode(reader, 'key_file_mode', 0o600),
      jwtBundle: readMode(reader, 'jwt_bundle_file_mode', 0o600),
      jwtSvid: readMode(reader, 'jwt_svid_file_mode', 0o600),
    },
    addIntermediatesToBundle: reader.optionalBoolean('add_intermediates_to_bundle') ?? false,
    includeFederatedDomains: reader.optionalBoolean('include_federated_domains') ?? false,
    omitExpired: reader.optionalBoolean('omit_expired') ?? false,
    hint: reader.optionalString('hint') ?? '',
    daemon,
    ...readReload(reader, daemon),
    health: readHealth(reader.optionalBlock('health_checks')),
  };
  if (config.x509 === undefined && config.jwtSvids.length === 0 && config.jwtBundle === undefined) {
    reader.fault(x509Keys[0], `nothing to write: set ${x509Keys.join(', ')}, or jwt_svids, or jwt_bundle_file_name`);
  }
  checkNames(reader, config);
  reader.finish();
  return config;
}

/** HCL users leave keys empty where they mean to leave them out. */
function textOf(reader: HclReader, key: string): string | undefined {
  const text = reader.optionalString(key);
  return text === '' ? undefined : text;
}

function readSocket(reader: HclReader, env: HelperSurroundings['env']): string {
  const configured = textOf(reader, 'agent_address');
  const text = configured ?? env[endpointVariable];
  if (text === undefined || text === '') return defaultSocket;
  if (text.startsWith('/')) return text;
  try {
    return parseEndpointSocket(text);
  } catch {
    const place = configured === undefined ? `${endpointVariable} is` : 'is';
    reader.fault('agent_address', `${place} ${JSON.stringify(text)}, want a path or unix:///path/to/socket`);
    return defaultSocket;
  }
}

function readX509(reader: HclReader): X509Files | undefined {
  const [certificate, key, bundle] = x509Keys.map((name) => textOf(reader, name));
  if (certificate !== undefined && key !== undefined && bundle !== undefined) return { certificate, key, bundle };
  const missing = x509Keys.filter((name) => textOf(reader, name) === undefined);
  if (missing.length < x509Keys.length) {
    for (const name of missing) reader.fault(name, `is missing: set all of ${x509Keys.join(', ')}, or none`);
  }
  return undefined;
}

function readJwtSvid(reader: HclReader): JwtFile[] {
  const first = textOf(reader, 'jwt_audience');
  const name = textOf(reader, 'jwt_svid_file_name');
  const others = reader.strings('jwt_extra_audiences');
  if (first === undefined) reader.fault('jwt_audience', 'is missing');
  if (name === undefined) reader.fault('jwt_svid_file_name', 'is missing');
  return first === undefined || name === undefined ? [] : [{ audience: [first, ...others], name }];
}

/** HCL1 reads `0600` as octal. */
function readMode(reader: HclReader, key: string, preset: number): number {
  const mode = reader.optionalNumber(key);
  if (mode === undefined || mode === 0) return preset;
  if (mode < 0 || mode > 0o777) reader.fault(key, `is ${mode}, want a file mode such as 0600`);
  return mode;
}

type Reload = Pick<HelperConfig, 'command' | 'pidFile' | 'renewSignal' | 'warnings'>;

/** What is done about new files. Once only, there is nothing to reload. */
function readReload(reader: HclReader, daemon: boolean): Reload {
  const program = textOf(reader, 'cmd');
  const words = reader.parsed('cmd_args', splitArguments) ?? [];
  const pidFile = textOf(reader, 'pid_file_name');
  const signalName = textOf(reader, 'renew_signal');
  const renewSignal = signalName === undefined ? undefined : reader.parsed('renew_signal', parseSignal);
  if (pidFile !== undefined && signalName === undefined)
    reader.fault('renew_signal', 'is missing: pid_file_name needs it');
  if (pidFile !== undefined && !daemon) reader.fault('pid_file_name', 'needs daemon_mode = true');
  if (daemon) {
    const command = program === undefined ? undefined : { program, arguments: words };
    return { command, pidFile, renewSignal, warnings: [] };
  }
  const ignored = [
    ['cmd', program],
    ['renew_signal', signalName],
  ].filter(([, value]) => value !== undefined);
  const warnings = ignored.map(([key]) => `${String(key)} has no effect where daemon_mode is false`);
  return { command: undefined, pidFile: undefined, renewSignal: undefined, warnings };
}

function readHealth(reader: HclReader | undefined): HelperConfig['health'] {
  if (reader === undefined) return undefined;
  const enabled = reader.optionalBoolean('listener_enabled') ?? false;
  const port = reader.optionalNumber('bind_port') ?? 0;
  if (port < 0 || port > 65_535) reader.fault('bind_port', `is ${port}, want a port number`);
  const livePath = textOf(reader, 'liveness_path') ?? '/live';
  const readyPath = textOf(reader, 'readiness_path') ?? '/ready';
  return enabled ? { port: port === 0 ? 8081 : port, livePath, readyPath } : undefined;
}

/** Two outputs in one file would overwrite each other for ever. */
function checkNames(
  reader: HclReader,
  { x509, jwtSvids, jwtBundle }: Pick<HelperConfig, 'x509' | 'jwtSvids' | 'jwtBundle'>,
): void {
  const named = [
    ...(x509 === undefined
      ? []
      : x509Keys.map((key, index) => [key, [x509.certificate, x509.key, x509.bundle][index]] as const)),
    ...jwtSvids.map(({ name }, index) => [`jwt_svids[${index}].jwt_svid_file_name`, name] as const),
    ...(jwtBundle === undefined ? [] : [['jwt_bundle_file_name', jwtBundle] as const]),
  ];
  for (const [index, [key, name]] of named.entries()) {
    const twin = named.findIndex(([, other]) => other === name);
    if (twin < index) reader.fault(key, `names ${JSON.stringify(name)}, as ${String(named[twin]?.[0])} does`);
  }
}
