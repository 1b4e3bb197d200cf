// One look at a claim, on an API server and a Temporal of a page: what is written when the world is not as it should be.
import { expect, it } from 'vitest';
import type { KubernetesApi } from '../../../activities/clients/kubernetes/kubernetes-api.ts';
import { KubernetesError } from '../../../activities/clients/kubernetes/kubernetes-errors.ts';
import { finalizer } from '../../../workers/operator/claim.ts';
import type { ClaimObject, Condition } from '../../../workers/operator/claim.ts';
import { reconcile } from '../../../workers/operator/reconcile.ts';
import type { Runs } from '../../../workers/operator/runs.ts';
import { spec } from '../../support/specs.ts';

const kind = { group: 'espalier.io', version: 'v1alpha1', plural: 'spiretrustdomains', namespace: 'trust' };
const standing: Condition = {
  type: 'Standing',
  status: 'True',
  reason: 'Standing',
  message: 'it stands',
  observedGeneration: 2,
  lastTransitionTime: '2026-11-27T10:00:00.000Z',
};
const upToDate: Condition = { ...standing, type: 'UpToDate', reason: 'UpToDate' };

function claimOf(conditions: readonly Condition[] = []): ClaimObject {
  const metadata = { namespace: 'trust', name: 'example', uid: 'u', generation: 3, resourceVersion: '7' };
  return {
    apiVersion: 'espalier.io/v1alpha1',
    kind: 'SpireTrustDomain',
    metadata: { ...metadata, finalizers: [finalizer] },
    spec,
    ...(conditions.length === 0 ? {} : { status: { espalier: { conditions, workflowId: 'w' } } }),
  };
}

function world(claim: ClaimObject | undefined, look: Runs['look'], refusal?: KubernetesError) {
  const did: string[] = [];
  let current = claim;
  const api = {
    find: () => Promise.resolve(current as never),
    apply: (_: unknown, { status }: ClaimObject) => {
      if (refusal !== undefined) return Promise.reject(refusal);
      current = { ...current!, status: status! };
      did.push('status');
      return Promise.resolve(current as never);
    },
    create: (_: unknown, event: object) => {
      did.push(`event ${(event as { reason: string }).reason}`);
      return Promise.resolve({} as never);
    },
    merge: () => Promise.reject(new KubernetesError(409, 'status 409: changed meanwhile')),
  } as Partial<KubernetesApi> as KubernetesApi;
  const runs = {
    look,
    bootstrap: () => {
      did.push('bootstrap');
      return Promise.resolve();
    },
  } as Partial<Runs> as Runs;
  const quiet = { info: () => undefined, warn: () => undefined };
  const turn = (seen = claimOf()): Promise<number> =>
    reconcile({ api, runs, clock: () => Date.parse('2026-11-27T12:00:00Z'), log: quiet }, kind, seen, [seen]);
  return { did, turn, current: () => current };
}

const nothing = { bootstrap: undefined, update: undefined, tearDown: undefined, standsAs: undefined };
const away = (): Promise<never> => Promise.reject(new Error('Failed to describe workflow'));

it('says once that Temporal is away, and keeps what it said of an earlier generation as that', async () => {
  const { did, turn, current } = world(claimOf([standing, upToDate]), away);
  await turn();
  await turn();
  expect(did).toEqual(['status', 'event TemporalUnavailable']);
  const { conditions, workflowId, state } = current()!.status!.espalier!;
  expect(conditions).toEqual([
    upToDate,
    {
      type: 'Standing',
      status: 'Unknown',
      reason: 'TemporalUnavailable',
      message: 'Temporal cannot be asked: Failed to describe workflow',
      observedGeneration: 3,
      lastTransitionTime: '2026-11-27T12:00:00.000Z',
    },
  ]);
  expect([workflowId, state]).toEqual(['w', 'TemporalUnavailable']);
});

it('begins nothing that it could not say', async () => {
  const { did, turn } = world(claimOf(), () => Promise.resolve(nothing), new KubernetesError(0, 'no answer'));
  await expect(turn()).rejects.toThrow('no answer');
  expect(did).toEqual([]);
});

it('says what it begins before it begins it', async () => {
  const { did, turn } = world(claimOf(), () => Promise.resolve(nothing));
  await turn();
  expect(did).toEqual(['status', 'event Accepted', 'event Growing', 'bootstrap']);
});

it('leaves alone what was made anew under the same name', async () => {
  const other = { ...claimOf(), metadata: { ...claimOf().metadata, uid: 'another' } };
  const { did, turn } = world(other, () => Promise.resolve(nothing));
  await turn();
  expect(did).toEqual([]);
});

it('looks again at once where somebody was faster', async () => {
  const unheld = { ...claimOf(), metadata: { ...claimOf().metadata, finalizers: [] } };
  const { turn } = world(unheld, () => Promise.resolve(nothing));
  expect(await turn(unheld)).toBe(0);
});
