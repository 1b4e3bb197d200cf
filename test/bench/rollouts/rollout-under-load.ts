// A rollout over thousands of nodes, measured: real servers on PostgreSQL, the lab's EC2 and Run Command, a Temporal dev server and our workers, and one
// process that plays every node.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createCloudActivities } from '../../../activities/cloud/cloud-activities.ts';
import { createControlActivities } from '../../../activities/control/control-activities.ts';
import { failure } from '../../../activities/failures.ts';
import { createInfrastructure } from '../../../activities/infrastructure.ts';
import { createRollOutActivities } from '../../../activities/rollout/rollout-activities.ts';
import { createRunbookActivities } from '../../../activities/runbooks/runbook-activities.ts';
import { createTrustActivities } from '../../../activities/trust/trust-activities.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { connect } from '../../../runtime/rpc/client.ts';
import type { KeptRollOutReport } from '../../../workflows/rollout/roll-out-in-waves.ts';
import { startTestTemporal } from '../../support/temporal.ts';
import type { TestTemporal } from '../../support/temporal.ts';
import { clientsOf, createRequest, trustDomain } from '../callers.ts';
import { startServerProcess } from '../server-under-load.ts';
import { playedNode } from './played-machines.ts';
import type { PlayOrder, PlayerState } from './player-process.ts';

export interface RollOutFigures {
  readonly nodes: number;
  /** Seconds until all nodes had attested, and of the rollout. */
  readonly attestingSeconds: number;
  readonly rollOutSeconds: number;
  readonly waves: readonly { readonly nodes: number; readonly seconds: number }[];
  readonly events: number;
  readonly runs: number;
  /** Megabytes, at the end. */
  readonly serverRssMb: number;
  readonly playerRssMb: number;
  /** Seconds of the segment's server. */
  readonly serverCpuSeconds: number;
}

const region = 'us-east-1';
const operator = 'spiffe://example.org/operator';
const version = '0.1.0';
const createAtOnce = 16;

export async function measureRollOut(databaseUrl: string, nodes: number): Promise<RollOutFigures> {
  const directory = mkdtempSync(join(tmpdir(), 'bench-rollout-'));
  const player = await startPlayer();
  const temporal = await startTestTemporal();
  const servers: Awaited<ReturnType<typeof startServerProcess>>[] = [];
  try {
    const { lab } = await player.state();
    const labFile = join(directory, 'lab.json');
    writeFileSync(labFile, JSON.stringify(lab), { mode: 0o600 });
    const infrastructure = createInfrastructure({ labFile, real: undefined });
    const cloud = await infrastructure.client('aws', 'lab');
    const name = trustDomain.name;
    await cloud.ensureNetwork({ trustDomain: name, region });
    const make = async (instance: string, role: 'upstream' | 'server-aws' | 'node-aws', bootScript: string) => {
      await cloud.ensureInstance({ trustDomain: name, name: instance, region, role, bootScript, owner: 'bench' });
    };
    const addressOf = async (instance: string): Promise<string> => {
      for (;;) {
        const found = await cloud.findInstance({ trustDomain: name, name: instance, region });
        if (found !== undefined) return found.address;
        await sleep(50);
      }
    };
    for (const role of ['upstream', 'server-aws', 'node-aws'] as const)
      await cloud.ensureInstanceIdentity({
        trustDomain: name,
        role,
        rights: { secrets: [], describeInstances: false, takesCommands: true },
      });
    await make('upstream-0', 'upstream', '');
    await make('aws-server-0', 'server-aws', '');

    const certificate = join(directory, 'region.pem');
    writeFileSync(certificate, lab.aws.regionCertificates[region] ?? '');
    const choices = {
      port: 8081,
      settings: `admin_ids = ["${operator}"]`,
      plugins: `NodeAttestor "aws_iid" { plugin_data { region_certificates = { "${region}" = "${certificate}" } } }`,
    };
    const env = {
      AWS_ENDPOINT_URL: lab.endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: lab.aws.credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: lab.aws.credentials.secretAccessKey,
    };
    const segmentAddress = await addressOf('aws-server-0');
    for (const address of [await addressOf('upstream-0'), segmentAddress])
      servers.push(await startServerProcess(databaseUrl, { ...choices, address }, env));
    const [upstream, segment] = servers;
    if (upstream === undefined || segment === undefined) throw new Error('a server is missing');
    const channel = connect({ unixPath: upstream.ready.socketPath });
    const local = clientsOf(channel);
    const { x509Authorities } = await local.bundle.getBundle({ outputMask: undefined });
    const roots = x509Authorities.map(({ asn1 }) => asn1);
    const source = await operatorSource(local, roots);
    channel.close();

    const began = performance.now();
    await player.play({
      address: segmentAddress,
      port: 8081,
      bundlePem: certificatesToPem(roots),
      versionAfter: version,
    });
    await inParallel(nodes, createAtOnce, (index) => make(`aws-node-${index}`, 'node-aws', playedNode));
    for (;;) {
      const { attested, failures } = await player.state();
      if (failures.length > 0) throw new Error(`an agent did not attest: ${failures.join('; ')}`);
      process.stderr.write(`\r${attested} of ${nodes} have attested `);
      if (attested === nodes) break;
      await sleep(500);
    }
    process.stderr.write('\n');
    const attestingSeconds = (performance.now() - began) / 1000;

    const before = await segment.usage();
    const { report, seconds, events, runs } = await roll(temporal, { infrastructure, source, directory }, nodes);
    if (report.outcome !== 'rolled out' || report.rolled !== nodes || report.failed.length > 0)
      throw new Error(`the rollout ended otherwise: ${JSON.stringify(report)}`);
    const after = await segment.usage();
    const { changed, rss } = await player.state();
    if (changed !== nodes) throw new Error(`${changed} agents were changed, not ${nodes}`);
    return {
      nodes,
      attestingSeconds,
      rollOutSeconds: seconds,
      waves: report.waves.map((wave) => ({ nodes: wave.nodes, seconds: wave.seconds })),
      events,
      runs,
      serverRssMb: after.rss / 2 ** 20,
      playerRssMb: rss / 2 ** 20,
      serverCpuSeconds: (after.cpu - before.cpu) / 1e6,
    };
  } finally {
    await temporal.close();
    for (const server of servers) await server.close();
    await player.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startPlayer() {
  const child = fork(new URL('./player-process.ts', import.meta.url), { stdio: 'inherit' });
  await once(child, 'message');
  const say = async (message: PlayOrder | 'state'): Promise<PlayerState> => {
    const answered = once(child, 'message') as Promise<[PlayerState]>;
    child.send(message);
    return (await answered)[0];
  };
  return {
    state: () => say('state'),
    play: (order: PlayOrder) => say(order),
    async close() {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
    },
  };
}

/** The control plane's own identity: an administrator's SVID, that lasts as long as the bench. */
async function operatorSource(local: ReturnType<typeof clientsOf>, roots: readonly Uint8Array[]) {
  const { privateKey, csr } = createRequest('/operator');
  const { svid } = await local.svid.mintX509Svid({ csr, ttl: 0 });
  const own = {
    id: parseSpiffeId(operator),
    chain: svid?.certChain ?? [],
    privateKey,
    hint: '',
    expiresAt: (svid?.expiresAt ?? 0) * 1000,
  };
  const bundle = { ...emptyBundle(trustDomain), x509Authorities: roots.map((asn1) => ({ asn1, tainted: false })) };
  const source = {
    svid: () => own,
    svids: () => [own],
    bundle: () => bundle,
    onUpdate: () => () => undefined,
    close: () => undefined,
  };
  return { of: () => Promise.resolve(source), close: () => undefined };
}

interface Plane {
  readonly infrastructure: ReturnType<typeof createInfrastructure>;
  readonly source: Awaited<ReturnType<typeof operatorSource>>;
  readonly directory: string;
}

async function roll(temporal: TestTemporal, { infrastructure, source, directory }: Plane, nodes: number) {
  const control = createControlActivities({
    artifact: { url: 'http://127.0.0.1:1/espalier.tar.gz', sha256: 'ab'.repeat(32) },
    infrastructure,
    identity: { directory, socketPath: '', selectors: [], clock: Date.now },
    source,
    clock: Date.now,
  });
  const options = {
    source,
    planOf: (spec: unknown) => control.planTrustDomain({ spec }),
    reportDirectory: directory,
    clock: Date.now,
  };
  const world = {
    control: () => ({
      ...control,
      ...createTrustActivities(options),
      ...createRunbookActivities(options),
      ...createRollOutActivities({ ...options, version }),
    }),
    cloud: (cloud: 'aws' | 'gcp') =>
      createCloudActivities({
        client: (kind) => infrastructure.client(cloud, kind),
        databaseServers() {
          throw failure('InvalidRequest', 'this worker makes no databases');
        },
        authorityDirectory: undefined,
        clock: Date.now,
      }),
  };
  const spec = {
    trustDomain: trustDomain.name,
    upstream: { cloud: 'aws', region },
    segments: [{ name: 'aws', cloud: 'aws', region, nodes, attestor: 'aws_iid' }],
  };
  return temporal.withWorkers(world, async () => {
    const { workflow } = temporal.environment.client;
    const began = performance.now();
    const workflowId = `rollOutAgents/${trustDomain.name}`;
    const handle = await workflow.start('rollOutAgents', {
      args: [{ spec, requester: 'bench', reason: 'measured' }],
      taskQueue: 'control',
      workflowId,
    });
    const report = (await handle.result()) as KeptRollOutReport;
    const seconds = (performance.now() - began) / 1000;
    let [events, runs] = [0, 0];
    for await (const run of workflow.list({ query: `WorkflowId = '${workflowId}'` })) {
      events += run.historyLength;
      runs += 1;
    }
    return { report, seconds, events, runs };
  });
}

async function inParallel(count: number, atOnce: number, act: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await act(index);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}
