// Two segments under one root of our own servers: each with a server whose CA the root signed, which is the topology that `npm start` grows.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { prepareGoWorkload } from './support/programs.ts';
import { trustDomain } from './support/server.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { describeTwoSegments } from './support/two-segments.ts';
import type { GoWorkload, TwoSegments } from './support/two-segments.ts';
import { ownUid } from './support/workloads.ts';

const stage = createStage();
let segments: TwoSegments;

beforeAll(async () => {
  const program = await prepareGoWorkload();
  const root = await stage.server({ name: 'root', caTtl: '8760h' });
  const [a, stranger] = await growSegment(root, program, 'gcp', ['workload-a', 'stranger']);
  const [b] = await growSegment(root, program, 'aws', ['workload-b']);
  segments = { directory: stage.directory, bundle: await root.bundlePem(), a: a!, b: b!, stranger: stranger! };
});
afterAll(() => stage.strike());

describeTwoSegments(() => segments);

/** A host with an agent of the root, the segment's server on it, and a node with an agent of that server. */
async function growSegment(
  root: SpireServer,
  program: string,
  segment: string,
  names: readonly string[],
): Promise<GoWorkload[]> {
  const idOf = (name: string) => `spiffe://${trustDomain}/prod/${segment}/demo/${name}`;
  const [host, node] = [`${segment}-host`, `${segment}-node`];
  const parentId = nodeIdOf(host);
  await root.createEntry({ parentId, spiffeId: idOf('spire-server'), selectors: [ownUid], downstream: true });
  const { socketPath } = await stage.agent({ name: host, server: root });
  const upstream = { port: root.port, workloadApiSocket: socketPath };
  const server = await stage.server({ name: segment, caTtl: '12h', upstream });

  const workloads = names.map((name) => ({ id: idOf(name), program: join(stage.directory, name) }));
  for (const { id, program: path } of workloads) {
    copyFileSync(program, path);
    await server.createEntry({ parentId: nodeIdOf(node), spiffeId: id, selectors: [`unix:path:${path}`] });
  }
  const agent: SpireAgent = await stage.agent({ name: node, server });
  return workloads.map((workload) => ({ ...workload, agent }));
}
