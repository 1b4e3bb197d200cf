// One look at one claim: reads, decides, acts, says. Whatever is begun may be begun again.
import type { KubernetesApi } from '../../activities/clients/kubernetes/kubernetes-api.ts';
import { KubernetesError } from '../../activities/clients/kubernetes/kubernetes-errors.ts';
import type { ResourceKind } from '../../activities/clients/kubernetes/resource-kinds.ts';
import { finalizer, holderOf, readClaim } from './claim.ts';
import type { Claim, ClaimObject } from './claim.ts';
import { decide } from './decide.ts';
import type { Act, Verdict } from './decide.ts';
import type { Runs } from './runs.ts';
import { composeStatus, isNews, writeEvent, writeStatus } from './say.ts';

export interface ReconcileOptions {
  readonly api: KubernetesApi;
  readonly runs: Runs;
  readonly clock: () => number;
  readonly log: { info(fields: object, message: string): void; warn(fields: object, message: string): void };
}

const unreachableMs = 5_000;

/** Returns when to look again at the latest. The claim is read anew: what a watch has is as old as the watch. */
export async function reconcile(
  { api, runs, clock, log }: ReconcileOptions,
  kind: ResourceKind,
  seen: ClaimObject,
  all: readonly ClaimObject[],
): Promise<number> {
  const object = await api.find<ClaimObject>(kind, seen.metadata.name);
  if (object === undefined || object.metadata.uid !== seen.metadata.uid) return unreachableMs; // the watch will say so
  const claim = readClaim(object);
  const now = clock();
  const { trustDomain } = claim;
  const verdict = await lookAndDecide(claim, all.map(readClaim), runs, now);
  const current = verdict.act === 'release' ? object : await say(verdict);
  if (verdict.act === undefined) return verdict.againMs;
  log.info({ claim: claim.name, trust_domain: trustDomain, act: verdict.act }, 'Claim');
  try {
    await perform(verdict.act, { ...claim, object: current }, { api, runs, kind });
    return verdict.againMs;
  } catch (cause) {
    if (isConflict(cause)) return 0; // somebody changed it meanwhile: read and decide anew
    log.warn({ claim: claim.name, act: verdict.act, err: cause }, 'Claim: not done');
    return unreachableMs;
  }

  async function say(told: Pick<Verdict, 'conditions' | 'status'>): Promise<ClaimObject> {
    const saying = composeStatus(claim, told, now);
    if (!isNews(claim, saying)) return claim.object;
    const written = await writeStatus(api, kind, claim, saying.status);
    for (const condition of saying.changed) await writeEvent(api, claim, condition, now);
    return written;
  }
}

async function lookAndDecide(claim: Claim, claims: readonly Claim[], runs: Runs, now: number): Promise<Verdict> {
  const { trustDomain } = claim;
  if (trustDomain === undefined)
    return decide(
      claim,
      undefined,
      { bootstrap: undefined, update: undefined, tearDown: undefined, standsAs: undefined },
      now,
    );
  const holder = holderOf(claims, trustDomain);
  try {
    return decide(claim, holder, await runs.look(trustDomain), now);
  } catch (cause) {
    return { act: undefined, ...unknown(claim, cause as Error), againMs: unreachableMs };
  }
}

/** What was said before stays, beside that it may not be so any more. The message is the same at each try: it is no news. */
function unknown(claim: Claim, { message }: Error): Pick<Verdict, 'conditions' | 'status'> {
  const { conditions = [], ...status } = claim.object.status?.espalier ?? {};
  const type = claim.isDeleted ? 'TornDown' : 'Standing';
  const others = conditions.filter((condition) => condition.type !== type);
  const reason = 'TemporalUnavailable';
  return {
    conditions: [...others, { type, status: 'Unknown', reason, message: `Temporal cannot be asked: ${message}` }],
    status,
  };
}

interface Performing extends Pick<ReconcileOptions, 'api' | 'runs'> {
  readonly kind: ResourceKind;
}

async function perform(act: Act, claim: Claim, { api, runs, kind }: Performing): Promise<void> {
  const { object, spec, uid, name, generation } = claim;
  const { finalizers = [], resourceVersion } = object.metadata;
  if (act === 'hold') return setFinalizers([...finalizers, finalizer]);
  if (act === 'release') return setFinalizers(finalizers.filter((one) => one !== finalizer));
  if (typeof spec === 'string') throw new TypeError(`claim ${name} has no specification to ${act}`);
  if (act === 'cancelBootstrap' || act === 'abortUpdate') return runs[act](spec.trustDomain);
  return runs[act](spec, { uid, name, generation });

  async function setFinalizers(wanted: readonly string[]): Promise<void> {
    // With the version that was read: nobody else's finalizer is lost.
    await api.merge(kind, object.metadata.name, { metadata: { resourceVersion, finalizers: wanted } });
  }
}

function isConflict(cause: unknown): boolean {
  return cause instanceof KubernetesError && (cause.status === 409 || cause.status === 404);
}
