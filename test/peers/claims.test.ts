// From a claim to mutual TLS and back to nothing, in one story: `kubectl apply` at the real API server, the operator, the workflows on a real Temporal server, the
// workers and the lab as `npm start` runs them, agents that attest, workloads that speak; then `kubectl delete`. On the way operator and workers are killed at
// random; CLAIMS_SEED repeats a run. The claim's infrastructure is the lab's, made by the workflows: no Crossplane runs here.
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import { spec } from '../support/specs.ts';
import { startClaimStory } from './support/claim-story.ts';
import type { ClaimStory } from './support/claim-story.ts';
import { installDefinitions } from './support/claims.ts';
import { eventually } from './support/processes.ts';
import { createStage } from './support/stage.ts';

const patienceMs = 12 * 60_000;
const timeout = patienceMs + 60_000;
const stage = createStage();
let story: ClaimStory;

beforeAll(async () => {
  story = await startClaimStory(stage, patienceMs);
  await installDefinitions(story.kubernetes);
  await story.startWorld();
  story.startOperator();
});
afterAll(() => stage.strike());

it(
  'a claim becomes a trust domain whose workloads speak in mutual TLS, whoever is killed on the way',
  { timeout },
  async () => {
    await story.claim({
      ...spec,
      segments: spec.segments.map((segment) => ({ ...segment, nodes: 1 })),
      infrastructure: 'lab',
      gcp: { project: 'p', image: 'i', passwordSecretRef: { name: 's', key: 'k' } },
      aws: { account: '123456789012', image: 'ami' },
    });
    await story.killingMeanwhile(story.becomes('UpToDate'));

    const report = (await story.result('bootstrapTrustDomain/example.org')) as TrustDomainReport;
    const [a, b] = ['gcp/demo/workload-a', 'aws/demo/workload-b'].map((path) => `spiffe://example.org/prod/${path}`);
    expect(report.handshakes.map(({ from, to }) => [from, to])).toEqual([
      [a, b],
      [b, a],
    ]);
    expect(report.agents.map(({ segment }) => segment).toSorted()).toEqual(['aws', 'gcp']);
    expect(report.refusals.length).toBe(2);
    expect(await story.machines()).toBe(5);

    expect(await story.kubectl('get', 'sptd')).toMatch(/example +.*example\.org +UpToDate/);
    const described = await story.kubectl('describe', 'sptd', 'example');
    for (const said of ['Accepted', 'Growing', 'Standing', 'UpToDate'])
      expect(described).toMatch(new RegExp(`^ +Normal +${said} .*espalier-operator`, 'm'));
  },
);

it('the claim is deleted: not by a slip, and then nothing is left', { timeout }, async () => {
  await story.kubectl('delete', 'sptd', 'example', '--wait=false');
  await story.becomes('DeletionProtected');
  expect(await story.machines()).toBe(5);

  await story.unprotect();
  const isGone = async () => expect(await story.kubectl('get', 'sptd', '-o', 'name')).toBe('');
  await story.killingMeanwhile(eventually('the claim is gone', isGone, patienceMs));
  expect(await story.machines()).toBe(0);
  expect(await story.result('tearDownTrustDomain/example.org')).toEqual({ trustDomain: 'example.org', left: [] });
});
