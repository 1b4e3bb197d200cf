// The agent of one case: its directory, its process, what it says, and what its files hold.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultPoint } from '../../../runtime/agent/fault-points.ts';
import { createWorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import type { Order } from './agent-process.ts';

export interface TriedAgentOptions {
  readonly directory: string;
  readonly serverPort: number;
  readonly bundlePem: string;
  /** Lines of the agent section, and its NodeAttestor. */
  readonly settings: string;
  readonly attestor: string;
}

const patienceMs = 60_000;

export type TriedAgent = ReturnType<typeof createTriedAgent>;

export function createTriedAgent({ directory, serverPort, bundlePem, settings, attestor }: TriedAgentOptions) {
  const [socketPath, configPath, logPath, bundlePath] = ['api.sock', 'agent.conf', 'agent.log', 'bundle.pem'].map(
    (name) => join(directory, name),
  ) as [string, string, string, string];
  let child: ChildProcess | undefined;

  const trust = (pem: string): void => writeFileSync(bundlePath, pem);
  const configure = (more: string): void =>
    writeFileSync(
      configPath,
      `agent {
        data_dir = "${directory}/data"
        server_address = "127.0.0.1"
        server_port = ${serverPort}
        socket_path = "${socketPath}"
        trust_domain = "example.org"
        trust_bundle_path = "${bundlePath}"
        ${more}
        experimental { sync_interval = "200ms" }
      }
      plugins {
        ${attestor}
        KeyManager "disk" { plugin_data { directory = "${directory}/data" } }
        WorkloadAttestor "unix" { plugin_data {} }
      }`,
      { mode: 0o600 },
    );
  trust(bundlePem);
  configure(settings);

  const log = (): string => (existsSync(logPath) ? readFileSync(logPath, 'utf8') : '');
  const isRunning = (): boolean => child !== undefined && child.exitCode === null && child.signalCode === null;
  const wait = async (what: string, check: () => boolean | Promise<boolean>): Promise<void> => {
    const until = performance.now() + patienceMs;
    while (!(await check())) {
      if (performance.now() > until) throw new Error(`waited in vain for ${what}:\n${log().slice(-2_000)}`);
      await sleep(50);
    }
  };
  const begin = (dieAt: FaultPoint | null): ChildProcess => {
    writeFileSync(logPath, '');
    child = fork(new URL('./agent-process.ts', import.meta.url), [configPath, logPath, JSON.stringify(dieAt)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    return child;
  };

  return {
    socketPath,
    log,
    isRunning,
    wait,
    trust,
    configure,
    /** Resolves when it serves. */
    async start(dieAt: FaultPoint | null = null): Promise<number> {
      const began = performance.now();
      const started = begin(dieAt);
      const stopped = new AbortController();
      const ended = once(started, 'exit', { signal: stopped.signal }).then(() => {
        throw new Error(`the agent ended at its start:\n${log().slice(-2_000)}`);
      });
      ended.catch(() => undefined);
      await Promise.race([once(started, 'message', { signal: AbortSignal.timeout(patienceMs) }), ended]);
      stopped.abort();
      return performance.now() - began;
    },
    /** Without waiting: it is to die, or to say something. */
    begin(dieAt: FaultPoint | null = null): void {
      begin(dieAt);
    },
    async dieAt(dieAt: FaultPoint): Promise<void> {
      const order: Order = { dieAt };
      child?.send(order);
      await once(child!, 'message', { signal: AbortSignal.timeout(patienceMs) });
    },
    /** Throws where it ended another way. */
    async died(): Promise<void> {
      await wait('its death', () => !isRunning());
      if (child?.signalCode !== 'SIGKILL')
        throw new Error(
          `the agent ended with ${child?.signalCode ?? child?.exitCode ?? 'nothing'}:\n${log().slice(-2_000)}`,
        );
    },
    ended: () => wait('its end', () => !isRunning()),
    async stop(): Promise<void> {
      if (!isRunning()) return;
      const exited = once(child!, 'exit');
      child!.kill('SIGKILL');
      await exited;
    },
    /** Serial number of the SVID on disk, whose key must be there; undefined where there is none. */
    storedSerial(): string | undefined {
      const { svid: [svid] = [] } = readJson(join(directory, 'data/agent-data.json')) as { svid?: string[] };
      if (svid === undefined) return undefined;
      const leaf = new X509Certificate(Buffer.from(svid, 'base64'));
      const { keys = {} } = readJson(join(directory, 'data/keys.json')) as { keys?: Record<string, string> };
      const isThere = Object.values(keys).some((key) =>
        createPublicKey(createPrivateKey({ key: Buffer.from(key, 'base64'), format: 'der', type: 'pkcs8' })).equals(
          leaf.publicKey,
        ),
      );
      if (!isThere) throw new Error(`no key is kept for the SVID ${leaf.serialNumber}`);
      return leaf.serialNumber;
    },
    /** SPIFFE ID of this process, as the agent sees it. */
    async workloadId(): Promise<string> {
      const api = createWorkloadApi({ socketPath });
      try {
        for await (const { svids } of api.fetchX509Svid({ deadlineMs: 10_000 })) return svids[0].id.toString();
        throw new Error('the stream ended without an SVID');
      } finally {
        api.close();
      }
    },
  };
}

/** Whole or not there: a half file is no JSON, and throws. */
function readJson(path: string): unknown {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
}
