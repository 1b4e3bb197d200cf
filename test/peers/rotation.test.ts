// The root of three tiers is replaced by the workflow, with workloads behind four leaves in mTLS all the time: nothing fails, each proof says how long it
// waited. The same with an agent that is cut off, and with a plain spire-agent among ours; and by hand, how long a change takes to the last who hears of it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import { createTrustActivities } from '../../activities/trust/trust-activities.ts';
import { createWorkerSource } from '../../activities/control/worker-source.ts';
import { failure } from '../../activities/failures.ts';
import type { Topology } from '../../activities/trust/topology.ts';
import { BundleService } from '../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { LocalAuthorityService } from '../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { parseCertificate } from '../../runtime/pki/certificate.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import { createWorkloadApi, createX509Source } from '../../runtime/workloadapi/index.ts';
import { approve } from '../../workers/approve.ts';
import type { Progress } from '../../workflows/lib/progress.ts';
import type { KeptReport } from '../../workflows/rotation/rotate.ts';
import { startTestTemporal } from '../support/temporal.ts';
import type { TestTemporal } from '../support/temporal.ts';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { arrivals, inWords } from './support/arrivals.ts';
import { createLink } from './support/link.ts';
import type { Link } from './support/link.ts';
import { startTraffic } from './support/mtls-traffic.ts';
import type { TrafficWorkload } from './support/mtls-traffic.ts';
import { eventually } from './support/processes.ts';
import { prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const trustDomain = 'example.org';
const operatorId = `spiffe://${trustDomain}/prod/onprem/platform/temporal-worker`;
const svidTtl = '30s';
const stage = createStage();
const traffic = startTraffic(75);
let temporal: TestTemporal;
let topology: Topology;
let link: Link;
let spireAgent: string;
const leaves: SpireServer[] = [];
/** The root first. */
const servers: SpireServer[] = [];
const agents: SpireAgent[] = [];
let cutOff: SpireAgent;

const settings = `admin_ids = ["${operatorId}"]
  ratelimit { attestation = false signing = false }`;

/** The agent of a server's host, which gives the server below its identity. */
async function below(server: SpireServer, name: string) {
  await server.createEntry({
    parentId: nodeIdOf(name),
    spiffeId: `spiffe://${trustDomain}/downstream/${name}`,
    selectors: [ownUid],
    downstream: true,
  });
  const agent = await stage.agent({ name, server });
  agents.push(agent);
  return { port: server.port, workloadApiSocket: agent.socketPath };
}

async function addWorkload(server: SpireServer, name: string, command?: string): Promise<SpireAgent> {
  const spiffeId = `spiffe://${trustDomain}/prod/onprem/demo/${name}`;
  await server.createEntry({ parentId: nodeIdOf(name), spiffeId, selectors: [ownUid] });
  const agent = await stage.agent({ name, server, ...(command === undefined ? {} : { command }) });
  if (command === undefined) agents.push(agent);
  await traffic.add(agent);
  return agent;
}

beforeAll(async () => {
  spireAgent = await prepareSpireAgent();
  temporal = await startTestTemporal();
  const common = { svidTtl, settings };
  const root = await stage.server({ name: 'root', ...common });
  const middles = await Promise.all(
    ['a', 'b'].map(async (name) => stage.server({ name, ...common, upstream: await below(root, `host-${name}`) })),
  );
  const leafTiers = middles.flatMap((middle) =>
    [`${middle.name}1`, `${middle.name}2`].map((name) => ({ name, middle })),
  );
  for (const { name, middle } of leafTiers) {
    leaves.push(await stage.server({ name, ...common, upstream: await below(middle, `host-${name}`) }));
  }
  servers.push(root, ...middles, ...leaves);
  const [first, ...others] = leaves as [SpireServer, ...SpireServer[]];
  for (const leaf of others) await addWorkload(leaf, `node-${leaf.name}`);
  link = stage.add(await createLink(first));
  cutOff = await addWorkload({ ...first, port: link.port }, `node-${first.name}`);

  await root.createEntry({ parentId: nodeIdOf('operator'), spiffeId: operatorId, selectors: [ownUid] });
  const operator = await stage.agent({ name: 'operator', server: root });
  const source = createWorkerSource(operator.socketPath);
  stage.add({ stop: async () => source.close() });
  const activities = createTrustActivities({
    source,
    planOf: () => Promise.reject(failure('InvalidRequest', 'there is no plan here')),
    reportDirectory: `${stage.directory}/reports`,
    clock: Date.now,
  });
  world = { control: () => activities };
  const tier = ({ name, port }: SpireServer, parent?: string) => ({
    name,
    servers: [{ name, address: `127.0.0.1:${port}` }],
    ...(parent === undefined ? {} : { parent }),
  });
  topology = {
    trustDomain,
    tiers: [
      tier(root),
      ...middles.map((middle) => tier(middle, 'root')),
      ...leaves.map((leaf) => tier(leaf, leaf.name.charAt(0))),
    ],
  };
});
afterAll(async () => {
  await traffic.stop();
  await temporal.close();
  await stage.strike();
});

let world: Parameters<TestTemporal['withWorkers']>[0];
let runs = 0;

async function rotating<T>(request: object, act: (handle: WorkflowHandle) => Promise<T>): Promise<T> {
  runs += 1;
  const { workflow } = temporal.environment.client;
  return temporal.withWorkers(world, async () =>
    act(
      await workflow.start('rotateX509Authority', {
        args: [{ topology, x509SvidTtl: svidTtl, ...request }],
        taskQueue: 'control',
        workflowId: `rotateX509Authority/${trustDomain}/${runs}`,
      }),
    ),
  );
}

const progressOf = () =>
  temporal.environment.client.workflow.getHandle(`trustChange/${trustDomain}`).query<Progress>('progress');

const idOf = ({ asn1 }: { readonly asn1: Uint8Array }): string => keyId(asn1);
const keyId = (der: Uint8Array): string => Buffer.from(parseCertificate(der).subjectKeyId ?? []).toString('hex');

function rootsOf({ x509 }: TrafficWorkload): string[] {
  return x509.bundle(x509.svid().id.trustDomain).x509Authorities.map(({ asn1 }) => keyId(asn1));
}

function print(title: string, { proofs, startedAt, endedAt }: KeptReport, handshakes: number): void {
  const seconds = (from: string, to: string): string => ((Date.parse(to) - Date.parse(from)) / 1000).toFixed(1);
  const waits = proofs.map((proof) => `${proof.claim} ${seconds(proof.startedAt, proof.provenAt)} s`).join(', ');
  const whole = Number(seconds(startedAt, endedAt));
  console.log(`${title}: ${whole} s; ${waits}; ${handshakes} handshakes, ${(handshakes / whole).toFixed(0)}/s`);
}

/** Every workload has the new root, and nobody the old one: it was written to their streams, and they have read it in a moment. */
async function expectRotated({ replaced }: KeptReport): Promise<void> {
  const [{ old, new: next } = { old: '', new: '' }] = replaced;
  for (const workload of traffic.workloads) {
    await expect.poll(() => rootsOf(workload), { message: workload.name }).not.toContain(old);
    expect(rootsOf(workload), workload.name).toContain(next);
  }
}

/** The key id that a chain ends at: of the root above it. */
function rootAbove({ x509 }: TrafficWorkload): string {
  const last = x509.svid().chain.at(-1);
  return last === undefined ? '' : Buffer.from(parseCertificate(last).authorityKeyId ?? []).toString('hex');
}

describe('by hand, step after step', () => {
  it('a new root reaches every server and agent, and a tainted one is left by every workload, in seconds', async () => {
    const channels = servers.map(({ socketPath }) => connect({ unixPath: socketPath }));
    const sources = await Promise.all(
      agents.map(({ socketPath }) => createX509Source({ api: createWorkloadApi({ socketPath }) })),
    );
    const authority = createClient(LocalAuthorityService, channels[0]!);
    const old = (await authority.getX509AuthorityState({})).active?.authorityId ?? '';
    const holders = (id: string) =>
      new Map<string, () => boolean | Promise<boolean>>([
        ...servers.map(({ name }, index): [string, () => Promise<boolean>] => {
          const bundle = createClient(BundleService, channels[index]!);
          const ids = async () => (await bundle.getBundle({ outputMask: undefined })).x509Authorities.map(idOf);
          return [`server ${name}`, async () => (await ids()).includes(id)];
        }),
        ...agents.map(({ name }, index): [string, () => boolean] => [
          `agent ${name}`,
          () => rootsOf({ name, x509: sources[index]! }).includes(id),
        ]),
      ]);

    const preparedAt = Date.now();
    const next = (await authority.prepareX509Authority({})).preparedAuthority?.authorityId ?? '';
    const spread = await arrivals(preparedAt, holders(next), 30_000);
    await authority.activateX509Authority({ authorityId: next });
    const taintedAt = Date.now();
    await authority.taintX509Authority({ authorityId: old });
    const workloads = traffic.workloads.map((one): [string, () => boolean] => [
      one.name,
      () => rootAbove(one) === next,
    ]);
    const left = await arrivals(taintedAt, new Map(workloads), 60_000);
    await authority.revokeX509Authority({ authorityId: old });

    console.log(`a new root: ${inWords(spread)}; a tainted root is left: ${inWords(left)}`);
    for (const source of sources) source.close();
    for (const channel of channels) channel.close();
    expect(spread).toHaveLength(servers.length + agents.length);
    // What plain SPIRE, driven by hand on two cores, takes to the servers and to the workload: a busy machine may be slow, and not as slow as that.
    expect(spread[0]?.afterMs).toBeLessThan(5_000);
    expect(left[0]?.afterMs).toBeLessThan(9_000);
    expect(traffic.failures).toEqual([]);
  });
});

describe('the root of three tiers', () => {
  it('is not rotated on an approval that the policy does not take, and on a signed one it is', async () => {
    const approver = `spiffe://${trustDomain}/people/approver`;
    const [leaf] = leaves as [SpireServer];
    await leaf.createEntry({ parentId: nodeIdOf('desk'), spiffeId: approver, selectors: [ownUid] });
    const desk = await stage.agent({ name: 'desk', server: leaf });
    const policy = { approvals: 'signed', approveActivation: true, approvers: [approver], soak: 'none' };
    const said: string[] = [];
    const say = (as?: string) =>
      approve({
        client: temporal.environment.client,
        trustDomain,
        gate: 'activation',
        reason: 'the rehearsal was fine',
        planDigest: undefined,
        as,
        env: desk.env,
        output: { write: (text) => void said.push(text.trim()) },
      });
    const report = await rotating({ policy, requester: operatorId }, async (handle) => {
      await eventually('it waits', async () => {
        if ((await progressOf()).change?.waitingFor !== 'approval of the activation') throw new Error('not yet');
      });
      const refused = (await say(approver).catch((error: unknown) => error)) as WorkflowUpdateFailedError;
      expect(refused.cause?.message).toContain('the policy wants it signed, and it has no signature');
      await say();
      return (await handle.result()) as KeptReport;
    });
    expect(said.at(-1)).toBe(`activation approved by ${approver}`);
    expect(report.approvals.map(({ approver: by, gate, signed }) => [by, gate, signed])).toEqual([
      [approver, 'activation', true],
    ]);
    await expectRotated(report);
  });

  it('is replaced with proof before every step, and no handshake fails', async () => {
    const before = traffic.handshakes();
    const report = await rotating({}, async (handle) => (await handle.result()) as KeptReport);
    print('root rotation', report, traffic.handshakes() - before);
    await expectRotated(report);
    expect(report.proofs.map(({ claim }) => claim)).toEqual(['held', 'moved', 'tainted', 'ended', 'gone']);
    expect(report.forced).toEqual([]);
    expect(report.proofs.every(({ tiers }) => tiers.length === 7)).toBe(true);
    expect(traffic.failures).toEqual([]);
  });

  it('is not narrowed while an agent is cut off: it is named, waited for, and the rotation goes on when it is back', async () => {
    const before = traffic.handshakes();
    // It has reported a moment ago: nobody knows yet that it is gone.
    link.cut();
    const report = await rotating({ policy: { soak: 'none' } }, async (handle) => {
      const { change } = await eventually('it is named', async () => {
        const now = await progressOf();
        if ((now.change?.missing.length ?? 0) === 0) throw new Error('nobody is missing');
        return now;
      });
      expect(change?.missing.map(({ id }) => id)).toEqual([expect.stringContaining('/spire/agent/join_token/')]);
      expect(change?.pointOfNoReturn).toBe('ahead');
      link.mend();
      return (await handle.result()) as KeptReport;
    });
    print('with an agent cut off', report, traffic.handshakes() - before);
    cutOff.checkRunning();
    await expectRotated(report);
    expect(traffic.failures).toEqual([]);
  });

  it('is replaced with a plain spire-agent in the fleet, which ages out', async () => {
    const [leaf] = leaves as [SpireServer];
    await addWorkload(leaf, 'node-plain', spireAgent);
    const before = traffic.handshakes();
    const report = await rotating({}, async (handle) => (await handle.result()) as KeptReport);
    print('with a plain spire-agent', report, traffic.handshakes() - before);
    await expectRotated(report);
    expect(report.notes.join()).toContain('1 agents report nothing (plain SPIRE)');
    expect(report.proofs.some(({ tiers }) => tiers.some(({ agedOut }) => agedOut > 0))).toBe(true);
    expect(traffic.failures).toEqual([]);
  });
});
