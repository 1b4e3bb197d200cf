// Two segments under one root, each with a server whose CA the root signed: the topology that `npm start` grows. Here it is mixed with SPIRE's own
// programs: beneath our root and above our segment.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { nodeIdOf, ourAgent } from './support/agent.ts';
import { eventually } from './support/processes.ts';
import { prepareGoWorkload, prepareSpireAgent, prepareSpireServer } from './support/programs.ts';
import { ourServer, trustDomain } from './support/server.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import type { Stage } from './support/stage.ts';
import { describeTwoSegments } from './support/two-segments.ts';
import type { GoWorkload, TwoSegments } from './support/two-segments.ts';
import { fetchInGo, ownUid } from './support/workloads.ts';

interface Programs {
  readonly server: string;
  readonly agent: string;
}

const ours: Programs = { server: ourServer, agent: ourAgent };
const prepareTheirs = async (): Promise<Programs> => ({
  server: await prepareSpireServer(),
  agent: await prepareSpireAgent(),
});

const topologies = [
  ['ours alone', async () => ({ root: ours, gcp: ours, aws: ours })],
  ['SPIRE’s segment beneath our root', async () => ({ root: ours, gcp: ours, aws: await prepareTheirs() })],
  [
    'our segment beneath SPIRE’s root',
    async () => ({ root: await prepareTheirs(), gcp: ours, aws: await prepareTheirs() }),
  ],
] as const;

describe.each(topologies)('%s', (_title, prepare) => {
  const stage = createStage();
  let segments: TwoSegments;

  beforeAll(async () => {
    const { directory } = stage;
    const program = await prepareGoWorkload();
    const programs = await prepare();
    const root = await stage.server({ name: 'root', caTtl: '8760h', command: programs.root.server });
    const grow = { stage, root, workload: program };
    const [a, stranger] = await growSegment(grow, 'gcp', programs.gcp, ['workload-a', 'stranger']);
    const [b] = await growSegment(grow, 'aws', programs.aws, ['workload-b']);
    segments = { directory, bundle: await root.bundlePem(), a: a!, b: b!, stranger: stranger! };
  });
  afterAll(() => stage.strike());

  describeTwoSegments(() => segments);
});

/** A host with an agent of the root, the segment's server on it, and a node with an agent of that server. */
async function growSegment(
  { stage, root, workload }: { stage: Stage; root: SpireServer; workload: string },
  segment: string,
  programs: Programs,
  names: readonly string[],
): Promise<GoWorkload[]> {
  const idOf = (name: string) => `spiffe://${trustDomain}/prod/${segment}/demo/${name}`;
  const [host, node] = [`${segment}-host`, `${segment}-node`];
  const parentId = nodeIdOf(host);
  await root.createEntry({ parentId, spiffeId: idOf('spire-server'), selectors: [ownUid], downstream: true });
  const { socketPath } = await stage.agent({ name: host, server: root, command: programs.agent });
  const upstream = { port: root.port, workloadApiSocket: socketPath };
  const server = await stage.server({ name: segment, caTtl: '12h', upstream, command: programs.server });

  const workloads = names.map((name) => ({ id: idOf(name), program: join(stage.directory, name) }));
  for (const { id, program } of workloads) {
    copyFileSync(workload, program);
    await server.createEntry({ parentId: nodeIdOf(node), spiffeId: id, selectors: [`unix:path:${program}`] });
  }
  const agent = await stage.agent({ name: node, server, command: programs.agent });
  // SPIRE's server tells an agent of an entry some seconds after it was made.
  for (const { id, program } of workloads)
    await eventually(`an SVID for ${id}`, () => fetchInGo(program, agent, 'reports'));
  return workloads.map((one) => ({ ...one, agent }));
}
