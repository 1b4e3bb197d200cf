// What people ask of a whole trust domain, each as it ends well: grown, changed, taken away, its agents let back in, its authorities replaced.
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../../../workflows/lib/progress.ts';
import type { FakeWorld } from '../../fakes/fake-world.ts';
import { bootstrapped } from '../../support/bootstrapped-world.ts';
import { approve } from '../../support/runbook-stories.ts';
import type { StoryStage } from '../../support/runbook-stories.ts';
import { spec } from '../../support/specs.ts';

export interface DomainStage extends StoryStage {
  readonly trustDomain: string;
  /** Of the workflow that holds the trust domain's lock. */
  readonly change: WorkflowHandle;
}

export interface DomainStory {
  readonly name: string;
  readonly type: string;
  readonly world?: (trustDomain: string) => Promise<FakeWorld>;
  readonly request: (trustDomain: string) => object;
  /** What people say to it, while it runs. */
  readonly during?: (stage: DomainStage, handle: WorkflowHandle) => Promise<void>;
  /** A call that it makes while it holds the lock; left out where it takes none, or takes it over. */
  readonly lockedAt?: string;
}

const [gcp, aws] = spec.segments;
const own = (trustDomain: string) => ({ ...spec, trustDomain });
const west = { ...aws, name: 'west', region: 'us-west-2', nodes: 1 };
const workload = (segment: string, name: string) => ({
  ...{ segment, environment: 'prod', team: 'demo', name },
  selectors: [`unix:path:{image}/opt/demo/${name}`],
});
const larger = (trustDomain: string) => ({
  ...own(trustDomain),
  segments: [{ ...gcp, servers: 2, nodes: 3 }, aws, west],
  workloads: [...spec.workloads, workload('gcp', 'workload-c'), workload('west', 'workload-w')],
});
const smaller = (trustDomain: string) => ({
  ...own(trustDomain),
  segments: [{ ...gcp, nodes: 1 }],
  workloads: spec.workloads.slice(0, 1),
});
const paired = (trustDomain: string) => ({ ...own(trustDomain), segments: [{ ...gcp, servers: 2 }, aws] });
/** What is asked of a whole trust domain names no servers of its own. */
const bare = (trustDomain: string) => ({ topology: undefined, ...own(trustDomain) });
const asking = (specOf: (trustDomain: string) => object) => (trustDomain: string) => ({
  topology: undefined,
  spec: specOf(trustDomain),
});
const standing = (trustDomain: string) => bootstrapped(own(trustDomain));

async function readmissible(trustDomain: string): Promise<FakeWorld> {
  const world = await standing(trustDomain);
  for (const node of ['aws/aws-node-0', 'gcp/gcp-server-0'])
    world.expired.add(`spiffe://${trustDomain}/spire/agent/${node}`);
  return world;
}

const approving =
  (gate: string) =>
  async ({ change }: DomainStage): Promise<void> => {
    for (;;) {
      const progress = await change.query<Progress>('progress').catch(() => undefined); // it may not have begun
      const { waitingFor, planDigest } = progress?.change ?? {};
      if (waitingFor?.startsWith('approval') === true && planDigest !== undefined) {
        const approval = { planDigest, gate, approver: 'somebody', reason: 'wanted' };
        await change.executeUpdate<string, [object]>('approve', { args: [approval] });
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };

/** One of two servers is down for good; what a dead worker costs fits into the deadline. */
async function withoutServer(trustDomain: string): Promise<FakeWorld> {
  const world = await bootstrapped(paired(trustDomain));
  world.troubles.down.add('gcp-server-1');
  return world;
}

const rotations = ['rotateX509Authority', 'rotateJwtAuthority'] as const;

export const domainStories: readonly DomainStory[] = [
  { name: 'bootstrapTrustDomain', type: 'bootstrapTrustDomain', request: bare, lockedAt: 'gcp ensureNetwork' },
  {
    ...{ name: 'tearDownTrustDomain', type: 'tearDownTrustDomain', world: standing, request: bare },
    lockedAt: 'gcp removeInstance',
  },
  { name: 'verifyTrustDomain', type: 'verifyTrustDomain', world: standing, request: asking(own) },
  {
    ...{ name: 'readmitAgents', type: 'readmitAgents', world: readmissible, request: bare },
    lockedAt: 'control readmitAgent',
  },
  {
    ...{ name: 'updateTrustDomain that adds', type: 'updateTrustDomain', world: standing },
    request: asking(larger),
    lockedAt: 'gcp ensureServerInstance',
  },
  {
    ...{ name: 'updateTrustDomain that takes away', type: 'updateTrustDomain' },
    world: (of) => bootstrapped(larger(of)),
    request: asking(smaller),
    during: approving('action'),
    lockedAt: 'gcp removeInstance',
  },
  ...rotations.map((type) => ({ name: type, type, request: () => ({}), lockedAt: 'control ensureTainted' })),
  {
    ...{ name: 'distrustAuthority', type: 'distrustAuthority' },
    request: () => ({ reason: 'stolen', authorityId: 'root-0#1' }),
    during: approving('revocation'),
  },
  {
    ...{ name: 'downstreamServerDown that makes a server anew', type: 'downstreamServerDown', world: withoutServer },
    request: (trustDomain) => ({
      ...asking(paired)(trustDomain),
      subject: 'gcp-server-1',
      policy: { lookEvery: '100ms', deadline: '10s' },
    }),
    during: (_stage, handle) => approve(handle).catch(() => undefined), // it may leave it to a person before it asks
  },
  { name: 'scanExpiry', type: 'scanExpiry', request: () => ({}) },
];
