// What Prometheus reads of SPIRE's server, it reads of ours after the same calls: the same names with the same labels, but for a list with reasons.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseScrape } from '../support/metrics.ts';
import { nodeIdOf } from './support/agent.ts';
import { eventually, freePort, output } from './support/processes.ts';
import { prepareGoWorkload, prepareSpireAgent, prepareSpireServer } from './support/programs.ts';
import { isNamed, shapeOf } from './support/series.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { fetchInGo, ownUid } from './support/workloads.ts';

const stage = createStage();
afterAll(() => stage.strike());

/** Patterns of names that ours does not show, and why. */
const missing: Readonly<Record<string, string>> = {
  'go_.*': 'of a Go program',
  'process_.*': 'of the client library that SPIRE uses; the node exporter or cAdvisor tells the same',
  'spire_server_runtime_(free_count|gc_pause_ns.*|heap_objects|malloc_count|num_goroutines|total_gc_.*)':
    'of Go’s memory and goroutines',
  'spire_server_datastore_join_token_delete.*': 'a token is deleted in the step that records its agent: node_create',
  'spire_server_server_key_manager_get_public_keys.*': 'keys are asked for by their names: get_public_key',
  'spire_server_datastore_node_selectors_.*':
    'an agent is stored and listed with its selectors: node_create, node_list',
};

interface Played {
  readonly server: SpireServer;
  readonly series: ReadonlySet<string>;
}
let theirs: Played;
let ours: Played;

const parent = ['-parentID', nodeIdOf('node')];
const entry = ['-entryID', 'web', ...parent, '-spiffeID', 'spiffe://example.org/web', '-selector', 'unix:uid:1000'];
const admin = (bundlePath: string): readonly (readonly string[])[] => {
  const federation = [
    ...['-trustDomain', 'other.org', '-bundleEndpointURL', 'https://127.0.0.1:1/bundle'],
    ...['-bundleEndpointProfile', 'https_web'],
  ];
  return [
    ['healthcheck'],
    ['entry', 'create', ...entry],
    ['entry', 'show', '-entryID', 'web'],
    ['entry', 'show'],
    ['entry', 'count'],
    ['entry', 'update', ...entry, '-hint', 'other'],
    ['entry', 'delete', '-entryID', 'web'],
    ['agent', 'list'],
    ['agent', 'count'],
    ['bundle', 'show'],
    ['bundle', 'count'],
    ['bundle', 'set', '-id', 'spiffe://other.org', '-path', bundlePath],
    ['bundle', 'list'],
    ['bundle', 'list', '-id', 'spiffe://other.org'],
    ['federation', 'create', ...federation],
    ['federation', 'list'],
    ['federation', 'show', '-trustDomain', 'other.org'],
    ['federation', 'update', ...federation],
    ['federation', 'delete', '-id', 'other.org'],
    ['bundle', 'delete', '-id', 'spiffe://other.org'],
    ['x509', 'mint', '-spiffeID', 'spiffe://example.org/minted'],
    ['jwt', 'mint', '-spiffeID', 'spiffe://example.org/minted', '-audience', 'reports'],
    ['logger', 'get'],
    ['debug', 'getinfo'],
  ];
};

/** Forced rotation of one kind. */
async function rotate(operate: (...words: string[]) => Promise<string>, kind: 'x509' | 'jwt'): Promise<void> {
  const ask = async (...words: string[]) =>
    JSON.parse(await operate('localauthority', kind, ...words, '-output', 'json')) as Record<
      string,
      { authority_id: string }
    >;
  const old = (await ask('show'))['active']!.authority_id;
  const next = (await ask('prepare'))['prepared_authority']!.authority_id;
  await ask('activate', '-authorityID', next);
  await ask('taint', '-authorityID', old);
  await ask('revoke', '-authorityID', old);
}

beforeAll(async () => {
  const [serverCommand, agentCommand, go] = [
    await prepareSpireServer(),
    await prepareSpireAgent(),
    await prepareGoWorkload(),
  ];
  const play = async (name: string, command?: string): Promise<Played> => {
    const port = await freePort();
    const sections = `telemetry { Prometheus { host = "127.0.0.1" port = ${port} } }`;
    const server = await stage.server({ name: `server-${name}`, sections, ...(command && { command }) });
    // One program's commands for both, so that both are asked the same.
    const operate = (...words: string[]) => output(serverCommand, [...words, '-socketPath', server.socketPath]);
    await server.createEntry({
      parentId: nodeIdOf(`node-${name}`),
      spiffeId: 'spiffe://example.org/w',
      selectors: [ownUid],
    });
    const agent = await stage.agent({ name: `node-${name}`, server, command: agentCommand });
    await eventually('the workload', () => fetchInGo(go, agent, 'reports'));
    const bundlePath = join(stage.directory, 'other.pem');
    writeFileSync(bundlePath, await server.bundlePem());
    for (const words of admin(bundlePath)) await operate(...words);
    await rotate(operate, 'jwt');
    await rotate(operate, 'x509');
    await agent.stop();
    const { values } = parseScrape(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text());
    return { server, series: new Set([...values.keys()].map(shapeOf)) };
  };
  theirs = await play('theirs', serverCommand);
  ours = await play('ours');
});

const reasonFor = (shape: string) => Object.keys(missing).find((pattern) => isNamed(pattern, shape));

describe('what SPIRE’s server shows', () => {
  it('ours shows too', () => {
    expect(
      [...theirs.series].filter((shape) => !ours.series.has(shape) && reasonFor(shape) === undefined).sort(),
    ).toEqual([]);
  });

  it.each(Object.keys(missing))('but for %s, of which ours has none', (pattern) => {
    const matches = (shape: string) => isNamed(pattern, shape);
    expect([...theirs.series].filter(matches)).not.toEqual([]);
    expect([...ours.series].filter(matches)).toEqual([]);
  });
});
