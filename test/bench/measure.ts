// Runs a case in rounds and says what a unit of it cost. Other programs on the machine only ever add to a round, so the least of them says most.
import { generateKeyPairSync, sign, verify } from 'node:crypto';
import type { BenchCase } from './cases.ts';
import type { ServerUnderLoad } from './server-under-load.ts';

const rounds = 5;

export interface Figures {
  readonly name: string;
  readonly unit: string;
  /** Milliseconds of the server's CPU for each unit: of the best round, and of the middle one. */
  readonly cpuMs: { readonly least: number; readonly median: number };
  /** Units a second, of the best round. */
  readonly perSecond: number;
  /** Milliseconds that a call took, over all rounds. */
  readonly latencyMs: { readonly p50: number; readonly p99: number };
  /** The longest time that the server's event loop was held up, over all rounds. */
  readonly stallMs: number;
  readonly spire?: string;
}

export async function measure(one: BenchCase, server: ServerUnderLoad): Promise<Figures> {
  const latencies: number[] = [];
  const runs: { cpuMs: number; perSecond: number; stallMs: number }[] = [];
  await round(one, server, []); // what is called often is compiled by now
  for (let run = 0; run < rounds; run += 1) runs.push(await round(one, server, latencies));
  const cpu = runs.map(({ cpuMs }) => cpuMs).toSorted((a, b) => a - b);
  latencies.sort((a, b) => a - b);
  return {
    name: one.name,
    unit: one.unit,
    cpuMs: { least: cpu[0]!, median: cpu[rounds >> 1]! },
    perSecond: Math.max(...runs.map(({ perSecond }) => perSecond)),
    latencyMs: { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) },
    stallMs: Math.max(...runs.map(({ stallMs }) => stallMs)),
    ...(one.spire === undefined ? {} : { spire: one.spire }),
  };
}

async function round(one: BenchCase, server: ServerUnderLoad, latencies: number[]) {
  await one.prepare?.(server, one.calls);
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < one.calls; index = next++) {
      const began = performance.now();
      await one.run(server, index);
      latencies.push(performance.now() - began);
    }
  };
  const [startedAt, before] = [performance.now(), await server.usage()];
  await Promise.all(Array.from({ length: one.atOnce }, worker));
  const [elapsed, after] = [performance.now() - startedAt, await server.usage()];
  const done = one.calls * one.units;
  return { cpuMs: (after.cpu - before.cpu) / 1000 / done, perSecond: (done / elapsed) * 1000, stallMs: after.stallMs };
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}

/** How fast this machine is now, in milliseconds: other figures mean little where these are high. */
export function measureMachine(): { readonly signMs: number; readonly verifyMs: number } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const data = Buffer.alloc(400);
  const signature = sign('sha256', data, privateKey);
  const timeOf = (act: () => unknown): number => {
    const before = process.cpuUsage();
    for (let count = 0; count < 2_000; count += 1) act();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000 / 2_000;
  };
  return {
    signMs: timeOf(() => sign('sha256', data, privateKey)),
    verifyMs: timeOf(() => verify('sha256', data, publicKey, signature)),
  };
}
