// What Prometheus reads of SPIRE's agent, it reads of ours after the same calls: the same names with the same labels, but for a list with reasons.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseScrape } from '../support/metrics.ts';
import { nodeIdOf, ourAgent } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { converse } from './support/conversation.ts';
import { startEnvoy } from './support/envoy.ts';
import { eventually, freePort, output, run } from './support/processes.ts';
import { prepareGoDelegate, prepareGoEnvoy, prepareGoWorkload, prepareSpireAgent } from './support/programs.ts';
import { isNamed, shapeOf } from './support/series.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { fetchInGo, ownUid } from './support/workloads.ts';

const id = 'spiffe://example.org/w';
const stage = createStage();
afterAll(() => stage.strike());

/** Patterns of names that ours does not show, and why. */
const missing: Readonly<Record<string, string>> = {
  'go_.*': 'of a Go program',
  'process_.*': 'of the client library that SPIRE uses; the node exporter or cAdvisor tells the same',
  'spire_agent_runtime_(free_count|gc_pause_ns.*|heap_objects|malloc_count|num_goroutines|total_gc_.*)':
    'of Go’s memory and goroutines',
  'spire_agent_cache_manager_(expiring_svids_svid_store|svid_store_process_tainted).*|spire_agent_store_store_.*':
    'of stores of SVIDs, which are not there',
};

let theirs: ReadonlySet<string>;
let ours: ReadonlySet<string>;

beforeAll(async () => {
  const [spireAgent, workload] = [await prepareSpireAgent(), await prepareGoWorkload()];
  const [envoy, delegate] = [await prepareGoEnvoy(), await prepareGoDelegate()];
  const server = await stage.server({ name: 'server' });
  const ports = new Map<string, number>();
  const agents: SpireAgent[] = [];
  for (const [name, command] of [
    ['ours', ourAgent],
    ['theirs', spireAgent],
  ] as const) {
    const port = await freePort();
    ports.set(name, port);
    await server.createEntry({ parentId: nodeIdOf(name), spiffeId: id, selectors: [ownUid] });
    const agent = await stage.agent({
      name,
      server,
      command,
      settings: `authorized_delegates = ["${id}"]`,
      sections: `telemetry { Prometheus { host = "127.0.0.1" port = ${port} } }`,
    });
    agents.push(agent);
    await eventually('the workload', () => fetchInGo(workload, agent, 'reports'));
    await callEverything(agent, { spireAgent, envoy, delegate });
  }
  await rotateWithTaint(server, agents);
  const read = async (name: string) => {
    const { values } = parseScrape(await (await fetch(`http://127.0.0.1:${ports.get(name)!}/metrics`)).text());
    return new Set([...values.keys()].map(shapeOf));
  };
  [theirs, ours] = [await read('theirs'), await read('ours')];
});

/** Each API, and a refusal of each. */
async function callEverything(
  { socketPath, adminSocketPath }: SpireAgent,
  programs: { spireAgent: string; envoy: string; delegate: string },
): Promise<void> {
  const call = (...words: string[]) => run(programs.spireAgent, [...words, '-socketPath', socketPath]);
  await call('api', 'fetch', 'x509');
  await call('api', 'fetch', 'jwt', '-audience', 'reports', '-spiffeID', 'spiffe://example.org/other');
  await call('api', 'validate', 'jwt', '-audience', 'reports', '-svid', 'none');
  await call('healthcheck');
  for (const words of [
    ['debug', 'getinfo'],
    ['logger', 'get'],
    ['logger', 'set', '-level', 'debug'],
    ['logger', 'reset'],
  ])
    await output(programs.spireAgent, [...words, '-socketPath', adminSocketPath]);
  const sds = startEnvoy(programs.envoy, socketPath);
  await sds.tell({ fetch: ['default'] });
  await sds.tell({ ask: ['default', 'ROOTCA'] });
  await sds.tell({ fetch: ['spiffe://example.org/none'] });
  await sds.stop();
  const asked = (method: string, request: object) => ({
    title: JSON.stringify([method, request]),
    method: `delegatedidentity.v1.DelegatedIdentity/${method}`,
    request: () => request,
  });
  await converse({ program: programs.delegate, args: [adminSocketPath], prefix: '/spire.api.agent.' }, [
    asked('SubscribeToX509SVIDs', { pid: process.pid }),
    asked('SubscribeToX509SVIDs', {}),
    asked('SubscribeToX509Bundles', {}),
    asked('FetchJWTSVIDs', { pid: process.pid, audience: ['reports'] }),
    asked('SubscribeToJWTBundles', {}),
  ]);
}

/** The old authority is tainted, and both agents and their workloads have renewed. */
async function rotateWithTaint(server: SpireServer, agents: readonly SpireAgent[]): Promise<void> {
  const ask = async (...words: string[]) =>
    JSON.parse(await server.operate('localauthority', 'x509', ...words, '-output', 'json')) as Record<
      string,
      { authority_id: string }
    >;
  const old = (await ask('show'))['active']!.authority_id;
  const next = (await ask('prepare'))['prepared_authority']!.authority_id;
  await ask('activate', '-authorityID', next);
  await ask('taint', '-authorityID', old);
  for (const agent of agents)
    await eventually('the agent has renewed', () => {
      for (const line of ['New tainted X.509 authorities found', 'Successfully rotated agent SVID'])
        expect(agent.log()).toContain(line);
    });
}

const reasonFor = (shape: string) => Object.keys(missing).find((pattern) => isNamed(pattern, shape));

describe('what SPIRE’s agent shows', () => {
  it('ours shows too', () => {
    expect([...theirs].filter((shape) => !ours.has(shape) && reasonFor(shape) === undefined).sort()).toEqual([]);
  });

  it.each(Object.keys(missing))('but for %s, of which ours has none', (pattern) => {
    expect([...theirs].filter((shape) => isNamed(pattern, shape))).not.toEqual([]);
    expect([...ours].filter((shape) => isNamed(pattern, shape))).toEqual([]);
  });
});
