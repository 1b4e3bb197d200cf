// The Go workload as server and as caller.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { once } from 'node:events';
import { output } from './processes.ts';
import type { WorkloadEnvironment } from './workloads.ts';

export interface Called {
  readonly self: string;
  readonly peer: string;
  readonly peerChain: string;
  readonly seenAs: string;
}

export interface GoServer {
  readonly address: string;
  /** What it said of the handshakes that it refused. */
  refusals(): string;
  stop(): Promise<void>;
}

/** Admits one SPIFFE ID. Its standard input is its leash. */
export async function serve(workload: string, { env }: WorkloadEnvironment, allowedId: string): Promise<GoServer> {
  const child = spawn(workload, ['serve', allowedId], { env: { ...process.env, ...env }, stdio: 'pipe' });
  const ended = once(child, 'close');
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const first = once(createInterface(child.stdout), 'line') as Promise<[string]>;
  const early = ended.then(() => Promise.reject(new Error(`${workload} ended: ${said}`)));
  const [line] = await Promise.race([first, early]);
  early.catch(() => undefined); // Its end is expected from here on.
  return {
    address: line.replace('listening on ', ''),
    refusals: () => said,
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

export async function call(
  workload: string,
  { env }: WorkloadEnvironment,
  address: string,
  expectedId: string,
): Promise<Called> {
  return JSON.parse(await output(workload, ['call', address, expectedId], { env })) as Called;
}
