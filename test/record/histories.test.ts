// Records every workflow on a real Temporal server and a fake world: how it succeeds, fails, is cancelled, and is refused. The cases with
// children keep the histories of the children too.
import { afterAll, beforeAll, describe } from 'vitest';
import { clusterCalls, clusteredSpec } from '../support/specs.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { record } from './recording.ts';
import type { Stage } from './recording.ts';

let started: TestTemporal;
beforeAll(async () => {
  started = await startTestTemporal();
});
afterAll(() => started.close());
const temporal = (): TestTemporal => started;

const bootstrapped = (name: string, ...children: string[]) => ({
  name,
  keep: ['bootstrapTrustDomain', 'trustChange', ...children],
});
/** What the parent sees of these is the same every time: the lock's holder and the child are kept. */
const within = (name: string, child: string) => ({ name, keep: ['trustChange', child] });
const tornDown = (name: string) => ({ name, keep: ['tearDownTrustDomain', 'trustChange'] });

/** One cluster beside the segments. */
const clustered = { spec: clusteredSpec() };

async function grow({ start }: Stage): Promise<void> {
  await (await start('bootstrapTrustDomain')).result();
}

/** Up to where the segment on AWS makes its nodes, which is held: what follows concerns its workloads' entries. */
async function growUpToEntries({ start, hold, called }: Stage) {
  const nodes = hold('aws ensureNodeInstance');
  const handle = await start('bootstrapTrustDomain');
  await called('aws ensureNodeInstance', 2);
  return { handle, nodes };
}

describe('bootstrapTrustDomain', () => {
  const segments = ['gcp', 'aws'].flatMap((segment) =>
    ['provisionServer', 'issueIntermediate', 'rollOutAgents', 'registerWorkloads'].map(
      (child) => `${child}/${segment}`,
    ),
  );
  record(temporal, bootstrapped('success', 'provisionServer/upstream', ...segments, 'verifyTrustDomain'), ({ start }) =>
    start('bootstrapTrustDomain'),
  );

  record(temporal, { name: 'invalid-specification', keep: ['bootstrapTrustDomain'], spec: { segments: [] } }, (stage) =>
    stage.start('bootstrapTrustDomain'),
  );

  record(temporal, bootstrapped('occupied'), ({ start, world }) => {
    world.put('aws instance aws-node-0');
    return start('bootstrapTrustDomain');
  });

  record(temporal, { name: 'locked', keep: ['bootstrapTrustDomain'] }, async (stage) => {
    await grow(stage);
    const removal = stage.hold('gcp removeNetwork');
    const tearDown = await stage.start('tearDownTrustDomain');
    await stage.called('gcp removeNetwork');
    const refused = await stage.start('bootstrapTrustDomain');
    await refused.result().catch(() => undefined);
    removal.letGo();
    await tearDown.result();
    return refused;
  });

  const failures = [
    ['provisionServer/upstream', 'control waitForServer', 'InvalidRequest'],
    ['provisionServer/aws', 'aws ensureServerInstance', 'Conflict'],
    ['issueIntermediate/gcp', 'control verifyIntermediate', 'TrustViolation'],
    ['rollOutAgents/aws', 'aws ensureNodeInstance', 'PermissionDenied'],
    ['verifyTrustDomain', 'control verifyRefusal', 'TrustViolation'],
  ] as const;
  for (const [child, call, type] of failures) {
    record(temporal, within(`undone-after-${child.replace('/', '-')}`, child), ({ start, world }) => {
      world.failing = { call, type };
      return start('bootstrapTrustDomain');
    });
  }
  record(temporal, within('undone-after-registerWorkloads-aws', 'registerWorkloads/aws'), async (stage) => {
    const { handle, nodes } = await growUpToEntries(stage);
    stage.world.failing = { call: 'control ensureEntry', type: 'InvalidRequest' };
    nodes.letGo();
    return handle;
  });

  record(temporal, bootstrapped('undone-after-infrastructure'), ({ start, world }) => {
    world.failing = { call: 'aws ensureFederatedRole', type: 'InvalidRequest' };
    return start('bootstrapTrustDomain');
  });

  const external = { upstream: { authority: 'disk' } };
  record(temporal, { ...bootstrapped('below-an-external-root'), spec: external }, ({ start }) =>
    start('bootstrapTrustDomain'),
  );
  record(temporal, { ...bootstrapped('undone-after-upstream-authority'), spec: external }, ({ start, world }) => {
    world.failing = { call: 'gcp ensureUpstreamAuthority', type: 'InvalidRequest' };
    return start('bootstrapTrustDomain');
  });

  record(
    temporal,
    { ...bootstrapped('with-a-cluster', 'registerWorkloads/shop', 'verifyTrustDomain'), ...clustered },
    (stage) => stage.start('bootstrapTrustDomain'),
  );
  for (const call of clusterCalls) {
    const [, act] = call.split(' ');
    record(temporal, { name: `undone-after-${act}`, keep: ['trustChange'], ...clustered }, ({ start, world }) => {
      world.failing = { call, type: 'InvalidRequest' };
      return start('bootstrapTrustDomain');
    });
    record(temporal, { name: `undone-before-${act}`, keep: ['trustChange'], ...clustered }, ({ start, world }) => {
      world.refusing = call;
      return start('bootstrapTrustDomain');
    });
  }
  record(temporal, { ...bootstrapped('occupied-cluster'), ...clustered }, ({ start, world }) => {
    world.put('cluster shop StatefulSet spire-server');
    return start('bootstrapTrustDomain');
  });
  record(temporal, { name: 'cancelled-in-cluster', keep: ['trustChange'], ...clustered }, async (stage) => {
    const handle = await stage.start('bootstrapTrustDomain');
    await stage.cancelDuring(handle, 'kubernetes waitForClusterServer');
    return handle;
  });
  record(temporal, { name: 'cluster-not-cleared', keep: ['trustChange'], ...clustered }, ({ start, world }) => {
    world.failing = { call: 'kubernetes ensureClusterAgents', type: 'Conflict' };
    world.refusing = 'kubernetes removeCluster';
    return start('bootstrapTrustDomain');
  });

  record(temporal, bootstrapped('rollback-incomplete'), ({ start, world }) => {
    world.failing = { call: 'control verifyFirstBundle', type: 'TrustViolation' };
    world.refusing = 'aws removeDatastore';
    return start('bootstrapTrustDomain');
  });

  const cancellations = [
    ['provisionServer/upstream', 'control waitForServer'],
    ['issueIntermediate/gcp', 'control verifyIntermediate'],
    ['rollOutAgents/aws', 'aws ensureNodeInstance'],
    ['verifyTrustDomain', 'control verifyHandshake'],
  ] as const;
  for (const [child, call] of cancellations) {
    record(temporal, within(`cancelled-in-${child.replace('/', '-')}`, child), async ({ start, cancelDuring }) => {
      const handle = await start('bootstrapTrustDomain');
      await cancelDuring(handle, call);
      return handle;
    });
  }
  record(temporal, within('cancelled-in-registerWorkloads-aws', 'registerWorkloads/aws'), async (stage) => {
    const { handle, nodes } = await growUpToEntries(stage);
    const cancelled = stage.cancelDuring(handle, 'control ensureEntry');
    nodes.letGo();
    await cancelled;
    return handle;
  });
  record(temporal, bootstrapped('cancelled-in-infrastructure'), async ({ start, cancelDuring }) => {
    const handle = await start('bootstrapTrustDomain');
    await cancelDuring(handle, 'aws ensureDatastore');
    return handle;
  });
});

describe('tearDownTrustDomain', () => {
  record(temporal, tornDown('torn-down'), async (stage) => {
    await grow(stage);
    return stage.start('tearDownTrustDomain');
  });

  record(
    temporal,
    { ...tornDown('torn-down-below-an-external-root'), spec: { upstream: { authority: 'disk' } } },
    async (stage) => {
      await grow(stage);
      return stage.start('tearDownTrustDomain');
    },
  );

  record(temporal, { ...tornDown('torn-down-with-a-cluster'), ...clustered }, async (stage) => {
    await grow(stage);
    return stage.start('tearDownTrustDomain');
  });
  record(temporal, { ...tornDown('leftovers-in-a-cluster'), ...clustered }, async (stage) => {
    await grow(stage);
    stage.world.refusing = 'kubernetes removeCluster';
    return stage.start('tearDownTrustDomain');
  });

  record(temporal, tornDown('leftovers'), async (stage) => {
    await grow(stage);
    stage.world.refusing = 'aws removeNetwork';
    stage.world.put('aws identity forgotten');
    return stage.start('tearDownTrustDomain');
  });

  record(temporal, { name: 'invalid-specification', keep: ['tearDownTrustDomain'], spec: { segments: [] } }, (stage) =>
    stage.start('tearDownTrustDomain'),
  );

  record(temporal, { name: 'locked', keep: ['tearDownTrustDomain'] }, async (stage) => {
    const bundle = stage.hold('control verifyFirstBundle');
    const bootstrap = await stage.start('bootstrapTrustDomain');
    await stage.called('control verifyFirstBundle');
    const refused = await stage.start('tearDownTrustDomain');
    await refused.result().catch(() => undefined);
    bundle.letGo();
    await bootstrap.result();
    return refused;
  });

  record(temporal, tornDown('removal-cancelled'), async (stage) => {
    await grow(stage);
    const handle = await stage.start('tearDownTrustDomain');
    await stage.cancelDuring(handle, 'aws removeInstance');
    return handle;
  });
});

describe('readmitAgents', () => {
  const readmitted = (name: string) => ({ name, keep: ['readmitAgents', 'trustChange'] });
  const expired = (trustDomain: string) => [
    `spiffe://${trustDomain}/spire/agent/aws/aws-server-0`,
    `spiffe://${trustDomain}/spire/agent/gcp/gcp-node-1`,
  ];

  record(temporal, readmitted('readmitted'), async (stage) => {
    await grow(stage);
    for (const agent of expired('readmitted.example.org')) stage.world.expired.add(agent);
    return stage.start('readmitAgents');
  });

  record(temporal, readmitted('readmission-failed'), async (stage) => {
    await grow(stage);
    stage.world.failing = { call: 'control readmitAgent', type: 'AttestationRejected' };
    return stage.start('readmitAgents');
  });

  record(temporal, readmitted('readmission-cancelled'), async (stage) => {
    await grow(stage);
    const handle = await stage.start('readmitAgents');
    await stage.cancelDuring(handle, 'control readmitAgent');
    return handle;
  });

  record(temporal, { name: 'locked', keep: ['readmitAgents'] }, async (stage) => {
    const bundle = stage.hold('control verifyFirstBundle');
    const bootstrap = await stage.start('bootstrapTrustDomain');
    await stage.called('control verifyFirstBundle');
    const refused = await stage.start('readmitAgents');
    await refused.result().catch(() => undefined);
    bundle.letGo();
    await bootstrap.result();
    return refused;
  });
});
