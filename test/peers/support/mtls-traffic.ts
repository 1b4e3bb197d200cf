// Workloads of one process on many agents that open new mTLS connections to each other all the time, each in turn: whatever fails is kept.
import { setTimeout as delay } from 'node:timers/promises';
import {
  connectMtls,
  createMtlsServer,
  createWorkloadApi,
  createX509Source,
} from '../../../runtime/workloadapi/index.ts';
import type { X509Source } from '../../../runtime/workloadapi/index.ts';
import type { SpireAgent } from './agent.ts';

export interface TrafficWorkload {
  readonly name: string;
  readonly x509: X509Source;
}

export interface Traffic {
  readonly workloads: readonly TrafficWorkload[];
  readonly handshakes: () => number;
  readonly failures: readonly string[];
  add(agent: Pick<SpireAgent, 'name' | 'socketPath'>): Promise<TrafficWorkload>;
  stop(): Promise<void>;
}

/** New connections a second, over all workloads, as long as the machine keeps up. */
export function startTraffic(perSecond: number): Traffic {
  const workloads: (TrafficWorkload & { readonly port: number; readonly close: () => Promise<void> })[] = [];
  const [failures, stopping] = [[] as string[], new AbortController()];
  let handshakes = 0;

  const connectOnce = async (turn: number): Promise<void> => {
    const from = workloads[turn % workloads.length];
    const to = workloads[(turn + 1 + Math.floor(turn / workloads.length)) % workloads.length];
    if (from === undefined || to === undefined || from === to) return;
    try {
      const { socket } = await connectMtls({
        host: '127.0.0.1',
        port: to.port,
        source: from.x509,
        authorize: () => true,
      });
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      if (text !== 'welcome') throw new Error('the other end closed the connection');
      handshakes += 1;
    } catch (error) {
      failures.push(`${new Date().toISOString()} ${from.name} to ${to.name}: ${(error as Error).message}`);
    }
  };

  const run = async (): Promise<void> => {
    const under = new Set<Promise<void>>();
    for (let [turn, next] = [0, Date.now()]; !stopping.signal.aborted; turn += 1) {
      const one: Promise<void> = connectOnce(turn).finally(() => under.delete(one));
      under.add(one);
      // A machine that cannot keep up is not to be buried.
      if (under.size > 50) await Promise.race(under);
      next = Math.max(next + 1000 / perSecond, Date.now() - 1000);
      await delay(Math.max(0, next - Date.now()));
    }
    await Promise.all(under);
  };
  const running = run();

  return {
    workloads,
    handshakes: () => handshakes,
    failures,
    async add({ name, socketPath }) {
      const api = createWorkloadApi({ socketPath });
      const x509 = await createX509Source({ api });
      const server = await createMtlsServer({
        host: '127.0.0.1',
        port: 0,
        source: x509,
        authorize: () => true,
        accept: (socket) => void socket.end('welcome'),
        refused: (error) => failures.push(`${new Date().toISOString()} ${name} refused: ${error.message}`),
      });
      const close = async (): Promise<void> => {
        await server.close();
        x509.close();
        api.close();
      };
      const workload = { name, x509, port: server.address.port, close };
      workloads.push(workload);
      return workload;
    },
    async stop() {
      stopping.abort();
      await running;
      for (const { close } of workloads) await close();
    },
  };
}
