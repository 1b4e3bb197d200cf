// A SPIRE server as a process, ours or SPIRE's own: both read the same configuration file, and an operator's words mean the same to both.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTestDatabase } from '../../support/postgres.ts';
import type { TestDatabase } from '../../support/postgres.ts';
import { eventually, freePort, output, start } from './processes.ts';
import { root } from './programs.ts';

export const trustDomain = 'example.org';
export const ourServer = join(root, 'bin/spire-server');
const startTimeoutMs = 60_000;

export interface ServerOptions {
  /** Where all of the test's sockets and files lie; short, for a socket's path has 107 bytes at most. */
  readonly directory: string;
  readonly name: string;
  /** The program: ours where left out. */
  readonly command?: string;
  readonly trustDomain?: string;
  readonly caTtl?: string;
  /** Of X.509-SVIDs and of JWT-SVIDs; an hour and five minutes where left out. */
  readonly svidTtl?: string;
  /** More lines of the server section. */
  readonly settings?: string;
  /** More plugins. */
  readonly plugins?: string;
  /** More sections. */
  readonly sections?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The server above it, and the socket of the agent that gives it its identity there. */
  readonly upstream?: { readonly port: number; readonly workloadApiSocket: string };
  /** Shared with another server, whose test drops it; one of its own where left out. */
  readonly database?: TestDatabase;
}

export interface EntryOptions {
  readonly parentId: string;
  readonly spiffeId: string;
  readonly selectors: readonly string[];
  readonly downstream?: boolean;
  readonly admin?: boolean;
  readonly hint?: string;
}

export interface SpireServer {
  readonly name: string;
  readonly trustDomain: string;
  readonly port: number;
  readonly healthPort: number;
  readonly socketPath: string;
  /** Runs a command of bin/spire-server on it. */
  operate(...words: readonly string[]): Promise<string>;
  /** A join token; its owner is also known by `nodeId`. */
  createJoinToken(nodeId: string): Promise<string>;
  createEntry(entry: EntryOptions): Promise<void>;
  bundlePem(): Promise<string>;
  log(): string;
  stop(): Promise<void>;
}

export async function startServer({
  directory,
  name,
  command = ourServer,
  trustDomain: ownTrustDomain = trustDomain,
  caTtl = '24h',
  svidTtl,
  settings = '',
  plugins = '',
  sections = '',
  env = {},
  upstream,
  database: shared,
}: ServerOptions): Promise<SpireServer> {
  const [database, port, healthPort] = await Promise.all([shared ?? createTestDatabase(), freePort(), freePort()]);
  const own = join(directory, name);
  const socketPath = join(own, 'admin.sock');
  mkdirSync(own, { recursive: true });
  const configPath = join(own, 'server.conf');
  const upstreamBlock =
    upstream === undefined
      ? ''
      : `UpstreamAuthority "spire" {
           plugin_data {
             server_address = "127.0.0.1"
             server_port = "${upstream.port}"
             workload_api_socket = "${upstream.workloadApiSocket}"
           }
         }`;
  const config = `
    server {
      trust_domain = "${ownTrustDomain}"
      bind_address = "127.0.0.1"
      bind_port = "${port}"
      socket_path = "${socketPath}"
      data_dir = "${own}"
      log_level = "DEBUG"
      ca_ttl = "${caTtl}"
      ca_key_type = "ec-p256"
      default_x509_svid_ttl = "${svidTtl ?? '1h'}"
      default_jwt_svid_ttl = "${svidTtl ?? '5m'}"
      ${settings}
    }
    plugins {
      DataStore "sql" {
        plugin_data {
          database_type = "postgres"
          connection_string = "${database.url}?sslmode=disable"
        }
      }
      KeyManager "disk" { plugin_data { keys_path = "${own}/keys.json" } }
      NodeAttestor "join_token" { plugin_data {} }
      ${upstreamBlock}
      ${plugins}
    }
    health_checks {
      listener_enabled = true
      bind_address = "127.0.0.1"
      bind_port = "${healthPort}"
    }
    ${sections}`;
  writeFileSync(configPath, config, { mode: 0o600 });
  const program = start(command, ['run', '-config', configPath], { logPath: join(own, 'server.log'), env });
  const operate = (...words: readonly string[]) => output(command, [...words, '-socketPath', socketPath]);
  const server: SpireServer = {
    name,
    trustDomain: ownTrustDomain,
    port,
    healthPort,
    socketPath,
    operate,
    async createJoinToken(nodeId) {
      const said = await operate('token', 'generate', '-spiffeID', nodeId);
      const token = /^Token: (\S+)$/m.exec(said)?.[1];
      if (token === undefined) throw new Error(`no token in: ${said}`);
      return token;
    },
    async createEntry({ parentId, spiffeId, selectors, downstream = false, admin = false, hint }) {
      const flags = selectors.flatMap((selector) => ['-selector', selector]);
      await operate(
        'entry',
        'create',
        '-parentID',
        parentId,
        '-spiffeID',
        spiffeId,
        ...flags,
        ...(downstream ? ['-downstream'] : []),
        ...(admin ? ['-admin'] : []),
        ...(hint === undefined ? [] : ['-hint', hint]),
      );
    },
    bundlePem: () => operate('bundle', 'show', '-format', 'pem'),
    log: program.log,
    async stop() {
      await program.stop();
      if (shared === undefined) await database.drop();
    },
  };
  await ready(`server ${name}`, healthPort, program.checkRunning).catch(async (error: unknown) => {
    const log = program.log();
    await server.stop();
    throw new Error(`server ${name} is not ready:\n${log}`, { cause: error });
  });
  return server;
}

/** SPIRE's health listener says 200 on /ready. */
export async function ready(what: string, port: number, checkRunning: () => void): Promise<void> {
  const deadline = AbortSignal.timeout(startTimeoutMs);
  const answers = async (): Promise<void> => {
    const response = await fetch(`http://127.0.0.1:${port}/ready`, { signal: deadline });
    if (response.status !== 200) throw new Error(`ready answers ${response.status}: ${await response.text()}`);
  };
  await eventually(what, answers, startTimeoutMs, checkRunning);
}
