// An agent of ours in the test's own process, against a server on 127.0.0.1, with a directory of its own. The test's process is its workload.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import { SpiffeWorkloadAPIService } from '../../proto/gen/spiffe/workload/workload.ts';
import { runAgent } from '../../runtime/agent/agent.ts';
import { readAgentConfig } from '../../runtime/agent/config/read-config.ts';
import { parseHcl } from '../../runtime/hcl/parse.ts';
import { createLog } from '../../runtime/log.ts';

export interface RunAgentOptions {
  readonly port: number;
  readonly bundlePem: string;
  readonly joinToken?: string;
  /** More lines of the agent section. */
  readonly settings?: string;
  /** Whether it has an admin socket. */
  readonly hasAdminSocket?: boolean;
  /** More lines of its experimental section. */
  readonly experimental?: string;
  /** Sections beside. */
  readonly sections?: string;
  /** 100 ms unless told: tests have no time. */
  readonly syncInterval?: string;
  readonly keyManager?: 'disk' | 'memory';
  readonly discoverWorkloadPath?: boolean;
  /** More plugins. */
  readonly plugins?: string;
  /** Of an earlier agent, to begin where it ended. */
  readonly directory?: string;
}

export async function startAgent(options: RunAgentOptions) {
  const { port, bundlePem, joinToken, settings = '', keyManager = 'disk', discoverWorkloadPath = false } = options;
  const { plugins = '', syncInterval = '100ms', experimental = '', sections = '', hasAdminSocket = false } = options;
  const directory = options.directory ?? (await mkdtemp(join(tmpdir(), 'agent-')));
  const socketPath = join(directory, 'public/api.sock');
  const adminSocketPath = join(directory, 'private/admin.sock');
  const bundlePath = join(directory, 'bootstrap.pem');
  await writeFile(bundlePath, bundlePem);
  const config = readAgentConfig(
    parseHcl(`
      agent {
        data_dir = "${directory}/data"
        server_address = "127.0.0.1"
        server_port = ${port}
        socket_path = "${socketPath}"
        trust_domain = "example.org"
        ${settings.includes('insecure_bootstrap') ? '' : `trust_bundle_path = "${bundlePath}"`}
        ${joinToken === undefined ? '' : `join_token = "${joinToken}"`}
        ${hasAdminSocket ? `admin_socket_path = "${adminSocketPath}"` : ''}
        ${settings}
        experimental { sync_interval = "${syncInterval}" ${experimental} }
      }
      plugins {
        NodeAttestor "join_token" { plugin_data {} }
        KeyManager "${keyManager}" { plugin_data { ${keyManager === 'disk' ? `directory = "${directory}/data"` : ''} } }
        WorkloadAttestor "unix" { plugin_data { discover_workload_path = ${discoverWorkloadPath} } }
        ${plugins}
      }
      ${sections}`),
  );
  const lines: string[] = [];
  const log = createLog({ level: 'debug', format: 'text', write: (line) => lines.push(line) });
  const stopping = new AbortController();
  const ended = runAgent(config, { log, clock: Date.now, random: Math.random, signal: stopping.signal });
  ended.catch(() => undefined); // the test looks at it, or does not care

  const channel = connect({ unixPath: socketPath });
  const agent = {
    directory,
    socketPath,
    adminSocketPath,
    /** What it logged. */
    lines,
    ended,
    channel,
    api: createClient(SpiffeWorkloadAPIService, channel),
    async stop(): Promise<void> {
      channel.close();
      stopping.abort(new Error('test is over'));
      await ended.catch(() => undefined);
    },
    async remove(): Promise<void> {
      await agent.stop();
      await rm(directory, { recursive: true, force: true });
    },
    /** Resolves when it serves; rejects where it ended instead. */
    async serving(): Promise<void> {
      const until = Date.now() + 30_000;
      const last = hasAdminSocket ? 'Starting Admin APIs' : 'Starting agent APIs';
      while (!lines.some((line) => line.includes(last))) {
        if (Date.now() > until) throw new Error(`agent does not serve:\n${lines.join('')}`);
        await Promise.race([new Promise((resolve) => setTimeout(resolve, 20)), ended]);
      }
    },
  };
  return agent;
}

export type RunningAgent = Awaited<ReturnType<typeof startAgent>>;
export const callMetadata = { 'workload.spiffe.io': 'true' };
