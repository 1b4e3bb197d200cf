// What is measured of the agent: each case plays on an agent that has a thousand SVIDs, and says what it found and what was wanted.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { SpiffeWorkloadAPIService } from '../../proto/gen/spiffe/workload/workload.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import { createFakeAuthority } from '../support/fake-authority.ts';
import { usageOf } from '../support/process-usage.ts';
import { openRawStreams } from '../support/raw-streams.ts';
import type { Answered } from './agent-streams-process.ts';
import { cachedSvids, createEntries, ownSelectors } from './agent-under-load.ts';
import type { AgentUnderLoad } from './agent-under-load.ts';
import { trustDomain, workloadEntry } from './callers.ts';

export interface AgentPart {
  readonly what: string;
  readonly value: number;
  readonly unit: 'ms' | 's' | 'MB' | '';
}

export interface AgentCase {
  readonly name: string;
  readonly wanted: string;
  /** SPIRE 1.15.3's own agent. */
  readonly spire?: string;
  readonly measure: (load: AgentUnderLoad) => Promise<readonly AgentPart[]>;
}

const metadata = { 'workload.spiffe.io': 'true' };
const settleMs = 3_000;
const patienceMs = 120_000;
const starts = 5;
const coldFetches = 500;
const newEntries = 100;
const streams = { processes: 10, each: 1_000 };
const connections = { warm: 30_000, all: 100_000, atOnce: 16 };

export const agentCases: readonly AgentCase[] = [
  {
    name: `agent: memory with ${cachedSvids.toLocaleString('en')} SVIDs cached`,
    wanted: 'at most 100 MB',
    spire: '61 MB',
    async measure({ agent }) {
      await sleep(settleMs);
      return [{ what: 'resident', value: usageOf(agent.pid()).rssMb, unit: 'MB' }];
    },
  },
  {
    name: 'agent: start to ready',
    wanted: 'at most 1.5 s',
    async measure({ agent, untilCached }) {
      const [first, again] = [agent.readyMs(), [] as number[]];
      for (let start = 0; start < starts; start += 1) {
        await agent.restart();
        again.push(agent.readyMs());
      }
      await untilCached();
      return [
        { what: 'attesting', value: first, unit: 'ms' },
        { what: 'started again, median', value: quantile(again, 0.5), unit: 'ms' },
      ];
    },
  },
  {
    name: 'agent: FetchX509SVID on a new connection',
    wanted: 'p50 below 5 ms',
    async measure({ agent: { socketPath } }) {
      const times: number[] = [];
      for (let fetch = 0; fetch < coldFetches; fetch += 1) times.push(await fetchOnce(socketPath));
      return quantiles(times);
    },
  },
  {
    name: 'agent: a new entry at an open stream',
    wanted: 'p99 at most 500 ms',
    async measure(load) {
      const times: number[] = [];
      for await (const ms of followNewEntries(load)) times.push(ms);
      return quantiles(times);
    },
  },
  {
    name: `agent: ${connections.all.toLocaleString('en')} connections, each with its fetch`,
    wanted: 'no growth',
    async measure({ agent }) {
      await connectAndFetch(agent.socketPath, connections.warm);
      await sleep(settleMs);
      const before = usageOf(agent.pid());
      const began = performance.now();
      await connectAndFetch(agent.socketPath, connections.all);
      const seconds = (performance.now() - began) / 1000;
      await sleep(settleMs);
      const after = usageOf(agent.pid());
      return [
        { what: `resident after the first ${connections.warm.toLocaleString('en')}`, value: before.rssMb, unit: 'MB' },
        { what: 'after all', value: after.rssMb, unit: 'MB' },
        { what: 'descriptors', value: before.descriptors, unit: '' },
        { what: 'after all', value: after.descriptors, unit: '' },
        { what: 'CPU of each', value: (after.cpuMs - before.cpuMs) / connections.all, unit: 'ms' },
        { what: 'took', value: seconds, unit: 's' },
      ];
    },
  },
  {
    name: `agent: an update to ${(streams.processes * streams.each).toLocaleString('en')} open streams`,
    wanted: 'at most 10 s',
    measure: updateStreams,
  },
];

async function fetchOnce(socketPath: string): Promise<number> {
  const began = performance.now();
  const channel = connect({ unixPath: socketPath });
  try {
    for await (const { svids } of createClient(SpiffeWorkloadAPIService, channel).fetchX509Svid({}, { metadata }))
      if (svids.length > 0) return performance.now() - began;
    throw new Error('the stream ended without an SVID');
  } finally {
    channel.close();
  }
}

/** Milliseconds from the call that makes an entry to the stream that has its SVID, again and again; the entry goes in between. */
async function* followNewEntries({ agent, agentPath, local }: AgentUnderLoad): AsyncGenerator<number> {
  const channel = connect({ unixPath: agent.socketPath });
  const ids = new Set<string>();
  let changed: () => void = () => undefined;
  const reading = (async () => {
    for await (const { svids } of createClient(SpiffeWorkloadAPIService, channel).fetchX509Svid({}, { metadata })) {
      ids.clear();
      for (const { spiffeId } of svids) ids.add(spiffeId);
      changed();
    }
  })();
  reading.catch(() => undefined); // closed in the end
  const until = async (holds: () => boolean): Promise<void> => {
    while (!holds()) await new Promise<void>((resolve) => (changed = resolve));
  };
  try {
    await until(() => ids.size > 0);
    for (let index = 0; index < newEntries; index += 1) {
      const path = `/bench/new/${index}`;
      const id = trustDomain.idString() + path;
      const began = performance.now();
      const [made] = await createEntries(local, [workloadEntry(path, agentPath, { selectors: ownSelectors })]);
      await until(() => ids.has(id));
      yield performance.now() - began;
      await local.entry.batchDeleteEntry({ ids: [made!.id] });
      await until(() => !ids.has(id));
      await sleep(Math.random() * 400); // not in step with the agent's own pace
    }
  } finally {
    channel.close();
  }
}

async function updateStreams({ agent, local, own }: AgentUnderLoad): Promise<AgentPart[]> {
  const readers: ChildProcess[] = [];
  const began = performance.now();
  const since = (start: number): number => (performance.now() - start) / 1000;
  const answered = (times: number) =>
    Promise.all(
      readers.map((reader) => {
        reader.send({ answered: times } satisfies Answered);
        return messageOf(reader);
      }),
    );
  try {
    for (let index = 0; index < streams.processes; index += 1) {
      const path = new URL('./agent-streams-process.ts', import.meta.url);
      const reader = fork(path, [agent.socketPath, String(streams.each)]);
      readers.push(reader);
      await messageOf(reader);
    }
    await answered(1);
    const opened = since(began);
    const bundleBegan = performance.now();
    const [asn1] = createFakeAuthority(trustDomain).roots();
    const x509Authorities = [{ asn1: asn1!, tainted: false }];
    await local.bundle.appendBundle({ x509Authorities, jwtAuthorities: [], witAuthorities: [], outputMask: undefined });
    await answered(2);
    const bundle = since(bundleBegan);
    const svidBegan = performance.now();
    const entries = [{ ...own, dnsNames: ['changed.example.org'] }];
    const { results } = await local.entry.batchUpdateEntry({ entries, inputMask: undefined, outputMask: undefined });
    if (results[0]?.status?.code !== 0) throw new Error(`entry not updated: ${results[0]?.status?.message ?? ''}`);
    await answered(3);
    const svid = since(svidBegan);
    return [
      { what: 'opened in', value: opened, unit: 's' },
      { what: 'a new authority in', value: bundle, unit: 's' },
      { what: 'a new SVID in', value: svid, unit: 's' },
      { what: 'resident then', value: usageOf(agent.pid()).rssMb, unit: 'MB' },
    ];
  } finally {
    for (const reader of readers) reader.disconnect();
  }
}

/** Rejects where the process ends instead, or says nothing for too long. */
async function messageOf(reader: ChildProcess): Promise<void> {
  const settled = new AbortController();
  const signal = AbortSignal.any([settled.signal, AbortSignal.timeout(patienceMs)]);
  try {
    const ended = once(reader, 'exit', { signal }).then(() => Promise.reject(new Error('a reader of streams ended')));
    await Promise.race([once(reader, 'message', { signal }), ended]);
  } finally {
    settled.abort();
  }
}

async function connectAndFetch(socketPath: string, count: number): Promise<void> {
  let left = count;
  const workers = Array.from({ length: connections.atOnce }, async () => {
    while (left > 0) {
      left -= 1;
      const streamsOfOne = await openRawStreams({ socketPath, count: 1 });
      await streamsOfOne.answered(1);
      streamsOfOne.close();
    }
  });
  await Promise.all(workers);
}

function quantiles(times: readonly number[]): AgentPart[] {
  return [
    { what: 'p50', value: quantile(times, 0.5), unit: 'ms' },
    { what: 'p99', value: quantile(times, 0.99), unit: 'ms' },
  ];
}

function quantile(times: readonly number[], part: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]!;
}
