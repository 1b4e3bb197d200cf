// The trust domain that `npm start` grows, seen by programs that we did not write: on the nodes of both clouds, with their agents' SVIDs.
import { copyFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client, Connection } from '@temporalio/client';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { fetchHistoryTree } from '../replay/history-tree.ts';
import { findSecrets } from '../replay/secret-shapes.ts';
import { eventually } from './support/processes.ts';
import { prepareGoWorkload, preparePython } from './support/programs.ts';
import { findRunningDomain } from './support/running-domain.ts';
import type { RunningDomain } from './support/running-domain.ts';
import { createStage } from './support/stage.ts';
import { bootStranger } from './support/stranger.ts';
import { describeTwoSegments } from './support/two-segments.ts';
import type { GoWorkload, TwoSegments } from './support/two-segments.ts';
import { fetchInGo, fetchInPython } from './support/workloads.ts';

const stage = createStage();
let python: string;
let domain: RunningDomain;
let segments: TwoSegments;

beforeAll(async () => {
  python = await preparePython();
  const program = await prepareGoWorkload();
  domain = stage.add(await findRunningDomain(stage.directory));
  const [a, stranger, b] = [
    await admit(program, 'gcp', 'peer-a'),
    await admit(program, 'gcp', 'peer-stranger'),
    await admit(program, 'aws', 'peer-b'),
  ];
  segments = { directory: stage.directory, bundle: await domain.bundlePem(), a, b, stranger };
});
afterAll(() => stage.strike());

describeTwoSegments(() => segments);

describe.each(['gcp', 'aws'])('a Python workload on a node of %s', (segment) => {
  it('fetches its SVIDs and bundles', async () => {
    const id = idOf(segment, 'peer-python');
    const agent = await domain.admit(segment, id, `unix:path:${realpathSync(join(python, 'python3'))}`);
    const fetched = await fetchInPython(python, agent, 'reports');
    expect(fetched).toMatchObject({ id, jwtId: id, validatedId: id, jwtAudience: ['reports'] });
    expect(certificatesFromPem(fetched.bundle)).toEqual(certificatesFromPem(segments.bundle));
  });
});

describe('the histories of the bootstrap', () => {
  it('hold no private key, no token, no password and no identity document', async () => {
    const { temporal, workflowId } = domain.summary;
    const connection = await Connection.connect({ address: temporal.address });
    try {
      const { workflow } = new Client({ connection, namespace: temporal.namespace });
      const histories = await fetchHistoryTree(workflow, { workflowId });
      expect(histories.length).toBeGreaterThan(5);
      expect(histories.flatMap(({ history }) => findSecrets(history))).toEqual([]);
    } finally {
      await connection.close();
    }
  });
});

describe('a node that nobody expects', () => {
  it('may attest, as one of the project, and gets no identity for the very program that has one on the nodes', async () => {
    const stranger = stage.add(await bootStranger(domain));
    const [expected] = domain.summary.agents.filter(({ segment }) => segment === 'gcp');
    expect((await stranger.fetchAsWorkload(expected!.workloadApiSocket)).output).toContain('/prod/gcp/demo/workload-a');
    const refused = await stranger.fetchAsWorkload(stranger.workloadApiSocket);
    expect(refused.code).not.toBe(0);
    expect(refused.output).toContain('no identity issued');
  });
});

function idOf(segment: string, name: string): string {
  return `spiffe://${domain.summary.trustDomain}/test/${segment}/peers/${name}`;
}

/** Resolves when the node's agent has learned of it. */
async function admit(program: string, segment: string, name: string): Promise<GoWorkload> {
  const path = join(stage.directory, name);
  copyFileSync(program, path);
  const id = idOf(segment, name);
  const agent = await domain.admit(segment, id, `unix:path:${path}`);
  await eventually(`an SVID for ${id}`, () => fetchInGo(path, agent, 'reports'));
  return { id, program: path, agent };
}
