// An agent of ours in a process of its own, started by its launcher as an operator starts it, with a directory of its own.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HealthCheckResponse_ServingStatus, HealthService } from '../../proto/gen/grpc/health/v1/health.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';

export interface AgentProcessOptions {
  readonly serverPort: number;
  readonly bundlePem: string;
  readonly joinToken: string;
  /** More lines of its experimental section. */
  readonly experimental?: string;
}

const startPatienceMs = 30_000;

export type AgentProcess = Awaited<ReturnType<typeof startAgentProcess>>;

/** Resolves when it is ready. */
export async function startAgentProcess({ serverPort, bundlePem, joinToken, experimental = '' }: AgentProcessOptions) {
  const directory = await mkdtemp(join(tmpdir(), 'agent-'));
  const [socketPath, adminSocketPath] = [join(directory, 'public/api.sock'), join(directory, 'private/admin.sock')];
  const [bundlePath, configPath, logPath] = ['bundle.pem', 'agent.conf', 'agent.log'].map((name) =>
    join(directory, name),
  ) as [string, string, string];
  await writeFile(bundlePath, bundlePem);
  await writeFile(
    configPath,
    `agent {
      data_dir = "${directory}/data"
      log_level = "WARN"
      server_address = "127.0.0.1"
      server_port = ${serverPort}
      socket_path = "${socketPath}"
      admin_socket_path = "${adminSocketPath}"
      trust_domain = "example.org"
      trust_bundle_path = "${bundlePath}"
      join_token = "${joinToken}"
      experimental { ${experimental} }
    }
    plugins {
      NodeAttestor "join_token" { plugin_data {} }
      KeyManager "disk" { plugin_data { directory = "${directory}/data" } }
      WorkloadAttestor "unix" { plugin_data {} }
    }`,
    { mode: 0o600 },
  );

  const start = async () => {
    const log = await open(logPath, 'a');
    const began = performance.now();
    const child = spawn(join(import.meta.dirname, '../../bin/spire-agent'), ['run', '-config', configPath], {
      stdio: ['ignore', log.fd, log.fd],
    });
    await log.close();
    try {
      await untilServing(socketPath, () => child.exitCode === null && child.signalCode === null);
    } catch (cause) {
      child.kill('SIGKILL');
      throw new Error(`agent does not serve: ${await readFile(logPath, 'utf8')}`, { cause });
    }
    return { child, readyMs: performance.now() - began };
  };

  let { child, readyMs } = await start();
  const endToo = (): void => void child.kill('SIGKILL');
  process.once('exit', endToo); // of a runner that is interrupted
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  return {
    socketPath,
    adminSocketPath,
    logPath,
    pid: (): number => child.pid ?? 0,
    isAlive: (): boolean => child.exitCode === null && child.signalCode === null,
    /** From the launcher's start until it said that it serves. */
    readyMs: () => readyMs,
    /** The same directory again. */
    async restart(): Promise<void> {
      await end('SIGTERM');
      ({ child, readyMs } = await start());
    },
    async close(): Promise<void> {
      process.off('exit', endToo);
      await end('SIGTERM');
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function untilServing(socketPath: string, isAlive: () => boolean): Promise<void> {
  const until = performance.now() + startPatienceMs;
  for (;;) {
    const channel = connect({ unixPath: socketPath });
    try {
      const health = createClient(HealthService, channel);
      const { status } = await health.check({ service: '' }, { deadlineMs: 1_000 });
      if (status === HealthCheckResponse_ServingStatus.SERVING) return;
    } catch (error) {
      if (!isAlive() || performance.now() > until) throw error;
    } finally {
      channel.close();
    }
    await sleep(5);
  }
}
