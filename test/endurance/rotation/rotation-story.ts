// One case: a rotation is disturbed at a boundary and left to itself. It ends as an undisturbed one does, or all of it is taken back; nothing is done twice,
// and what every tier signs is vouched for all the time.
import { existsSync } from 'node:fs';
import { ActivityFailure, ApplicationFailure, ChildWorkflowFailure } from '@temporalio/common';
import { WorkflowFailedError } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import type { DryRunReport } from '../../../activities/trust/rotation.ts';
import type { KeptReport } from '../../../workflows/rotation/rotate.ts';
import { bundleOf, checkSigning, eventually, idsOf, keyIdOf, spreadPatienceMs } from '../tiers/held-and-signed.ts';
import type { Kind } from '../tiers/held-and-signed.ts';
import type { TierServer } from '../tiers/tier-server.ts';
import { widening } from './rotation-cases.ts';
import type { RotationCase } from './rotation-cases.ts';
import type { RotationStage } from './rotation-stage.ts';

const settlePatienceMs = 90_000;
const reachPatienceMs = 120_000;
const endPatienceMs = 240_000;
const trustDomain = 'example.org';
let runs = 0;

export async function performRotationCase(
  stage: RotationStage,
  chosen: RotationCase,
  tell: (line: string) => void,
): Promise<void> {
  const { operation, boundary, moment, disturbance } = chosen;
  const kind: Kind = operation === 'rotateJwtAuthority' ? 'jwt' : 'x509';
  const { servers, worker } = stage;
  await worker.ensureRunning();
  await settled(stage, operation);
  const before = await standing(stage, kind);

  const acts = { 'kill-worker': 'die', fail: 'fail' } as const;
  const act = disturbance in acts ? acts[disturbance as keyof typeof acts] : 'tell';
  await worker.arm({ boundary, moment, act });
  const handle = await start(stage, operation, { reason: chosen.name });
  await worker.reached(AbortSignal.timeout(reachPatienceMs)).catch((cause: unknown) => {
    throw new Error(`${moment} ${boundary} was not reached within ${reachPatienceMs} ms`, { cause });
  });
  tell(`${disturbance} ${moment} ${boundary}`);
  if (disturbance === 'kill-worker') await worker.ensureRunning();
  if (disturbance === 'abort') {
    await stage.client.workflow.getHandle(`trustChange/${trustDomain}`).signal('abort', 'the case wants it');
    worker.goOn();
  }
  const victim = victimOf(stage, disturbance);
  if (victim !== undefined) {
    await victim.kill();
    worker.goOn(); // which meets a server that is not there
    await victim.restart();
  }

  const ended = await within(endPatienceMs, 'the rotation', outcomeOf(handle)).catch(async (error: unknown) => {
    await handle.terminate(); // or its client would go on asking for the result on a channel that is closed
    throw error;
  });
  if (typeof ended === 'string') {
    tell(`it ended with ${ended}`);
    if (!mayEndWith(chosen, ended)) throw new Error(`it ended with ${ended}`);
    await expectStanding(stage, kind, before);
  } else {
    if (disturbance === 'abort' && widening.includes(boundary)) throw new Error('it was not aborted');
    tell(`it went to its end in ${seconds(ended)} s`);
    await expectRotated(stage, kind, before, ended);
  }
  await checkSigning(servers.leaf, servers.root);
}

/** What is there to be compared: who signs with what, and what the bundle holds. */
interface Standing {
  readonly active: Readonly<Record<string, string>>;
  readonly prepared: readonly string[];
  readonly bundle: readonly string[];
}

async function standing({ servers }: RotationStage, kind: Kind): Promise<Standing> {
  const active: Record<string, string> = {};
  const prepared: string[] = [];
  for (const { name, authority } of [servers.root, servers.replica]) {
    const states = await (kind === 'x509' ? authority.getX509AuthorityState({}) : authority.getJwtAuthorityState({}));
    active[name] = states.active?.authorityId ?? '';
    if (states.prepared !== undefined) prepared.push(states.prepared.authorityId);
  }
  return { active, prepared, bundle: idsOf(await bundleOf(servers.root), kind).toSorted() };
}

async function expectStanding(stage: RotationStage, kind: Kind, want: Standing): Promise<void> {
  const now = await standing(stage, kind);
  if (JSON.stringify(now) !== JSON.stringify(want))
    throw new Error(`it was not taken back: ${JSON.stringify(now)}, want ${JSON.stringify(want)}`);
}

async function expectRotated(stage: RotationStage, kind: Kind, before: Standing, report: KeptReport): Promise<void> {
  const { servers, agentBundles } = stage;
  const now = await standing(stage, kind);
  const news = report.replaced.map((one) => one.new).toSorted();
  const olds = report.replaced.map((one) => one.old).toSorted();
  same('replaced', olds, Object.values(before.active).toSorted());
  same('signing', Object.values(now.active).toSorted(), news);
  same('prepared', now.prepared, []);
  // An authority that was prepared twice, or revoked by nobody, would be one more.
  same(
    'in the bundle',
    now.bundle,
    before.bundle
      .filter((id) => !olds.includes(id))
      .concat(news)
      .toSorted(),
  );
  if (!existsSync(report.file)) throw new Error(`there is no report ${report.file}`);
  for (const { proven, claim } of report.proofs.map((proof) => ({
    ...proof,
    proven: proof.tiers.every(({ missing }) => missing === 0),
  }))) {
    if (!proven) throw new Error(`the report has "${claim}" with somebody missing`);
  }
  if (kind === 'jwt') return;
  await eventually('every tier and agent has the new roots only', spreadPatienceMs, async () => {
    for (const server of [servers.middle, servers.leaf]) {
      same(`held by ${server.name}`, idsOf(await bundleOf(server), kind).toSorted(), now.bundle);
      const { active } = await server.authority.getX509AuthorityState({});
      if (!news.includes(active?.upstreamAuthoritySubjectKeyId ?? ''))
        throw new Error(`${server.name} is not under them`);
    }
    for (const bundle of await agentBundles()) same('held by an agent', bundle.map(keyIdOf).toSorted(), now.bundle);
  });
}

function same(what: string, got: readonly string[], want: readonly string[]): void {
  if (JSON.stringify(got) !== JSON.stringify(want))
    throw new Error(`${what}: ${got.join(', ') || 'none'}; want ${want.join(', ') || 'none'}`);
}

/** An aborted one is over; so may be one whose first look met a server that was not there. */
function mayEndWith({ disturbance, boundary }: RotationCase, type: string): boolean {
  if (disturbance === 'abort') return type === 'Aborted' && widening.includes(boundary);
  return boundary === 'surveyTrust' && disturbance.startsWith('kill-') && type === 'Blocked';
}

function victimOf({ servers }: RotationStage, disturbance: RotationCase['disturbance']): TierServer | undefined {
  const victims: Partial<Record<RotationCase['disturbance'], TierServer>> = {
    'kill-root': servers.root,
    'kill-middle': servers.middle,
    'kill-leaf': servers.leaf,
  };
  return victims[disturbance];
}

async function start(stage: RotationStage, operation: string, request: object): Promise<WorkflowHandle> {
  runs += 1;
  const { topology, svidTtl, client } = stage;
  return client.workflow.start(operation, {
    args: [{ topology, x509SvidTtl: svidTtl, ...request }],
    taskQueue: 'control',
    workflowId: `${operation}/${trustDomain}/${runs}`,
  });
}

/** Whatever the case before has left: nothing stands in the way of a rotation now. */
async function settled(stage: RotationStage, operation: string): Promise<void> {
  await eventually('a rotation may begin', settlePatienceMs, async () => {
    const rehearsal = await start(stage, operation, { dryRun: true });
    const { blockers } = (await rehearsal.result()) as DryRunReport;
    if (blockers.length > 0) throw new Error(blockers.map(({ tier, what }) => `${tier}: ${what}`).join('; '));
  });
}

/** The report, or the type of the failure. */
async function outcomeOf(handle: WorkflowHandle): Promise<KeptReport | string> {
  try {
    return (await handle.result()) as KeptReport;
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    let current = error.cause;
    while (current instanceof ChildWorkflowFailure || current instanceof ActivityFailure) current = current.cause;
    return current instanceof ApplicationFailure ? (current.type ?? current.message) : String(current?.message);
  }
}

async function within<T>(patienceMs: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} has not ended within ${patienceMs} ms`)), patienceMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function seconds({ startedAt, endedAt }: KeptReport): string {
  return ((Date.parse(endedAt) - Date.parse(startedAt)) / 1000).toFixed(1);
}
