// A SPIRE agent as a process, ours or SPIRE's own: both read the same configuration file.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, start } from './processes.ts';
import type { Program } from './processes.ts';
import { root } from './programs.ts';
import { ready, trustDomain as usualTrustDomain } from './server.ts';
import type { SpireServer } from './server.ts';

export const ourAgent = join(root, 'bin/spire-agent');

export interface AgentOptions {
  readonly directory: string;
  readonly name: string;
  readonly server: SpireServer;
  /** The program: ours where left out. */
  readonly command?: string;
  /** More lines of the agent section. */
  readonly settings?: string;
  /** More plugins. */
  readonly plugins?: string;
  /** Sections beside. */
  readonly sections?: string;
  /** Another node attestor, as the configuration has it, and the ID that the server then makes. */
  readonly attestor?: { readonly block: string; readonly id: string };
  /** Proves that it has this key, whose certificate the server's x509pop knows, and not a join token. */
  readonly x509pop?: { readonly certificatePath: string; readonly keyPath: string; readonly id: string };
}

export interface SpireAgent {
  readonly name: string;
  /** What entries hang on. */
  readonly nodeId: string;
  readonly healthPort: number;
  readonly socketPath: string;
  readonly adminSocketPath: string;
  /** The environment of its workloads. */
  readonly env: Readonly<Record<string, string>>;
  log(): string;
  /** Throws with its log where it has ended by itself. */
  checkRunning(): void;
  stop(): Promise<void>;
  /** The same configuration, whose join token is used up, on the same data. */
  /** On the same data; with another program where one is named. */
  restart(command?: string): Promise<void>;
}

export const nodeIdOf = (name: string, trustDomain = usualTrustDomain): string =>
  `spiffe://${trustDomain}/node/${name}`;

/** Attests, with a fresh join token where nothing else is said; resolves when it serves. */
export async function startAgent({
  directory,
  name,
  server,
  command = ourAgent,
  settings = '',
  plugins = '',
  sections = '',
  x509pop,
  attestor: other,
}: AgentOptions): Promise<SpireAgent> {
  const { trustDomain } = server;
  const attestor = other ?? (x509pop === undefined ? undefined : possession(x509pop));
  const nodeId = attestor?.id ?? nodeIdOf(name, trustDomain);
  const token = attestor === undefined ? `join_token = "${await server.createJoinToken(nodeId)}"` : '';
  const [bundle, healthPort] = [await server.bundlePem(), await freePort()];
  const own = join(directory, name);
  const socketPath = join(own, 'public/api.sock');
  const adminSocketPath = join(own, 'private/admin.sock');
  mkdirSync(own, { recursive: true });
  const bundlePath = join(own, 'bootstrap.pem');
  writeFileSync(bundlePath, bundle);
  const configPath = join(own, 'agent.conf');
  const config = `
    agent {
      trust_domain = "${trustDomain}"
      server_address = "127.0.0.1"
      server_port = "${server.port}"
      socket_path = "${socketPath}"
      admin_socket_path = "${adminSocketPath}"
      ${settings}
      data_dir = "${own}/data"
      log_level = "DEBUG"
      trust_bundle_path = "${bundlePath}"
      ${token}
      experimental { sync_interval = "1s" }
    }
    plugins {
      ${attestor?.block ?? 'NodeAttestor "join_token" { plugin_data {} }'}
      KeyManager "disk" { plugin_data { directory = "${own}/data" } }
      WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
      ${plugins}
    }
    health_checks {
      listener_enabled = true
      bind_address = "127.0.0.1"
      bind_port = "${healthPort}"
    }
    ${sections}`;
  writeFileSync(configPath, config, { mode: 0o600 });
  const run = async (command: string): Promise<Program> => {
    const program = start(command, ['run', '-config', configPath], { logPath: join(own, 'agent.log') });
    await ready(`agent ${name}`, healthPort, program.checkRunning).catch(async (error: unknown) => {
      const log = program.log();
      await program.stop();
      throw new Error(`agent ${name} is not ready:\n${log}`, { cause: error });
    });
    return program;
  };
  let program = await run(command);
  return {
    name,
    nodeId,
    healthPort,
    socketPath,
    adminSocketPath,
    env: { SPIFFE_ENDPOINT_SOCKET: `unix://${socketPath}` },
    log: () => program.log(),
    checkRunning: () => program.checkRunning(),
    stop: () => program.stop(),
    async restart(next = command) {
      await program.stop();
      program = await run(next);
    },
  };
}

function possession({ certificatePath, keyPath, id }: NonNullable<AgentOptions['x509pop']>) {
  const block = `NodeAttestor "x509pop" {
    plugin_data { certificate_path = "${certificatePath}" private_key_path = "${keyPath}" }
  }`;
  return { block, id };
}
