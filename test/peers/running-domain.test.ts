// The trust domain that `npm start` grows, seen by programs that we did not write: on the nodes of both clouds, with their agents' SVIDs.
import { copyFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { eventually } from './support/processes.ts';
import { prepareGoWorkload, preparePython } from './support/programs.ts';
import { findRunningDomain } from './support/running-domain.ts';
import type { RunningDomain } from './support/running-domain.ts';
import { createStage } from './support/stage.ts';
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
