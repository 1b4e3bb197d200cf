// What the operator does for a claim, from what it reads: refusals first, then each state that Temporal may be in, and the deletion.
import { describe, expect, it } from 'vitest';
import { parseTrustDomainSpec, specDigest } from '../../../activities/spec/check-spec.ts';
import { finalizer, holderOf, readClaim } from '../../../workers/operator/claim.ts';
import type { Claim, ClaimObject } from '../../../workers/operator/claim.ts';
import { decide, retryMs } from '../../../workers/operator/decide.ts';
import type { Verdict } from '../../../workers/operator/decide.ts';
import type { DomainRuns, Run } from '../../../workers/operator/runs.ts';
import { composeStatus, isNews } from '../../../workers/operator/say.ts';
import { clusteredSpec, spec } from '../../support/specs.ts';

const now = Date.parse('2026-11-27T12:00:00Z');
const digest = specDigest(parseTrustDomainSpec(spec));

interface Given {
  readonly metadata?: Partial<ClaimObject['metadata']>;
  readonly spec?: object;
}

function claimOf({ metadata = {}, spec: fields = {} }: Given = {}): Claim {
  return readClaim({
    apiVersion: 'espalier.io/v1alpha1',
    kind: 'SpireTrustDomain',
    metadata: {
      namespace: 'trust',
      name: 'example',
      uid: 'uid-1',
      generation: 3,
      creationTimestamp: '2026-11-27T10:00:00Z',
      finalizers: [finalizer],
      ...metadata,
    },
    // Beside the specification, what is Crossplane's and the composition's.
    spec: { ...spec, crossplane: { compositionRef: { name: 'x' } }, aws: { account: '123456789012' }, ...fields },
  });
}

const deleted = { deletionTimestamp: '2026-11-27T11:59:00Z' };
const none: DomainRuns = { bootstrap: undefined, update: undefined, tearDown: undefined, standsAs: undefined };

function runOf(given: Partial<Run> = {}): Run {
  return {
    workflowId: 'bootstrapTrustDomain/example.org',
    runId: 'run-1',
    state: 'completed',
    startedAt: now - 600_000,
    closedAt: now - 500_000,
    claimUid: 'uid-1',
    claimGeneration: 3,
    specDigest: digest,
    failure: undefined,
    progress: undefined,
    report: {},
    ...given,
  };
}

const failedWith = (type: string, closedAt = now - 1_000): Partial<Run> => ({
  state: 'failed',
  closedAt,
  failure: { type, message: 'it broke' },
});
const running = { state: 'running', closedAt: undefined } as const;
const standing: DomainRuns = { ...none, bootstrap: runOf(), standsAs: digest };

const reasons = ({ conditions }: Verdict): string[] =>
  conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`);

describe('a claim is refused', () => {
  it('with its faults, all of them, where its specification does not hold', () => {
    const verdict = decide(
      claimOf({ spec: { ttl: { root: '10h', x509Svid: '1h', jwtSvid: '5m' }, trustDomain: 'Example.org' } }),
      undefined,
      none,
      now,
    );
    expect(verdict.act).toBeUndefined();
    expect(reasons(verdict)).toEqual(['Accepted=False SpecInvalid']);
    expect(verdict.conditions[0]!.message).toMatch(/trustDomain.*\n.*segments\[0\]/s);
  });

  it('where an older one has its trust domain', () => {
    const older = claimOf({ metadata: { name: 'first', uid: 'uid-0', creationTimestamp: '2026-11-27T09:00:00Z' } });
    const younger = claimOf();
    expect(holderOf([younger, older], 'example.org')).toBe(older);
    const verdict = decide(younger, older, none, now);
    expect(verdict.act).toBeUndefined();
    expect(verdict.conditions[0]!.message).toBe('trust domain example.org is claimed by trust/first');
  });

  it.each(['completed', 'running'] as const)('where somebody else’s run is %s', (state) => {
    const bootstrap = runOf({ claimUid: undefined, ...(state === 'running' ? running : {}) });
    const verdict = decide(claimOf(), undefined, { ...standing, bootstrap }, now);
    expect(verdict.act).toBeUndefined();
    expect(reasons(verdict)).toEqual(['Accepted=False TrustDomainTaken']);
  });
});

it('a claim that says so takes over what stands', () => {
  const claim = claimOf({ metadata: { annotations: { 'espalier.io/adopt': 'true' } } });
  const verdict = decide(claim, undefined, { ...standing, bootstrap: runOf({ claimUid: undefined }) }, now);
  expect(reasons(verdict)).toContain('UpToDate=True UpToDate');
});

it('two claims that were made in the same second are told apart the same way by everybody', () => {
  const [a, b] = [claimOf({ metadata: { uid: 'a' } }), claimOf({ metadata: { uid: 'b' } })];
  expect(holderOf([a, b], 'example.org')).toBe(a);
  expect(holderOf([b, a], 'example.org')).toBe(a);
});

describe('a claim that lives', () => {
  const act = (runs: Partial<DomainRuns>, given: Given = {}) =>
    decide(claimOf(given), undefined, { ...none, ...runs }, now);

  it('is held before anything is begun', () => {
    expect(act({}, { metadata: { finalizers: [] } }).act).toBe('hold');
  });

  it.each<[string, Partial<DomainRuns>, Verdict['act'], string]>([
    ['grows where there was nothing', {}, 'bootstrap', 'Standing=False Growing'],
    ['is followed while it grows', { bootstrap: runOf(running) }, undefined, 'Standing=False Growing'],
    [
      'grows again after a tear-down',
      { bootstrap: runOf(), tearDown: runOf({ startedAt: now - 400_000, closedAt: now - 300_000 }) },
      'bootstrap',
      'Standing=False Growing',
    ],
    [
      'waits for a tear-down that runs',
      { bootstrap: runOf(), tearDown: runOf({ ...running, startedAt: now - 1_000 }) },
      undefined,
      'Standing=False TearingDown',
    ],
    ['is left alone where it stands as wanted', standing, undefined, 'UpToDate=True UpToDate'],
    ['is changed where it stands otherwise', { ...standing, standsAs: 'other' }, 'update', 'UpToDate=False Updating'],
    [
      'is followed while it is changed',
      { ...standing, standsAs: 'other', update: runOf(running) },
      undefined,
      'UpToDate=False Updating',
    ],
    [
      'is not begun again at once where it failed',
      { bootstrap: runOf(failedWith('Unavailable')) },
      undefined,
      'Standing=False GrowFailed',
    ],
    [
      'is begun again later',
      { bootstrap: runOf(failedWith('Unavailable', now - retryMs)) },
      'bootstrap',
      'Standing=False GrowFailed',
    ],
    [
      'is not begun again where a person has to do something first',
      { bootstrap: runOf(failedWith('Conflict', now - 10 * retryMs)) },
      undefined,
      'Standing=False GrowFailed',
    ],
    [
      'is begun again when it was changed since',
      { bootstrap: runOf({ ...failedWith('Conflict'), claimGeneration: 2 }) },
      'bootstrap',
      'Standing=False GrowFailed',
    ],
    [
      'is not changed again where that was aborted',
      { ...standing, standsAs: 'other', update: runOf(failedWith('Aborted', now - 10 * retryMs)) },
      undefined,
      'UpToDate=False UpdateFailed',
    ],
  ])('%s', (_, runs, wanted, reason) => {
    const verdict = act(runs);
    expect(verdict.act).toBe(wanted);
    expect(reasons(verdict).at(-1)).toBe(reason);
  });

  it('says by name which cluster an update refuses to change', () => {
    const { clusters, workloads } = clusteredSpec();
    const wanted = { clusters: clusters.map((each) => ({ ...each, storageClass: 'fast' })), workloads };
    const message = 'nothing was changed: clusters.shop: it was made with another storage class';
    const update = runOf({
      ...failedWith('Blocked'),
      specDigest: specDigest(parseTrustDomainSpec({ ...spec, ...wanted })),
      failure: { type: 'Blocked', message },
    });
    const verdict = act({ ...standing, update }, { spec: wanted });
    expect(verdict.act).toBeUndefined();
    expect(verdict.conditions.at(-1)).toEqual({
      type: 'UpToDate',
      status: 'False',
      reason: 'UpdateFailed',
      message: `Blocked: ${message}; it is begun again soon`,
    });
  });

  it('shows what an approval has to name', () => {
    const change = {
      operation: 'updateTrustDomain',
      tier: 'upstream',
      planDigest: 'd1',
      pointOfNoReturn: 'ahead',
      paused: false,
      waitingFor: 'an approval of the action',
      missing: [],
      overdue: false,
      notes: [],
    } as const;
    const progress = {
      trustDomain: 'example.org',
      state: 'running',
      phases: [{ name: 'widen', state: 'running' }],
      change,
    } as const;
    const verdict = act({ ...standing, standsAs: 'other', update: runOf({ ...running, progress }) });
    expect(reasons(verdict)).toContain('UpToDate=False WaitingForApproval');
    expect(verdict.status).toMatchObject({ planDigest: 'd1', phases: [{ name: 'widen', state: 'running' }] });
  });
});

describe('a claim that is deleted', () => {
  const unprotected = { metadata: deleted, spec: { deletionProtection: false } };
  const act = (runs: Partial<DomainRuns>, given: Given = unprotected, holder?: Claim) =>
    decide(claimOf(given), holder, { ...none, ...runs }, now);
  const over = (given: Partial<Run>): DomainRuns => ({
    ...standing,
    tearDown: runOf({ startedAt: now - 400_000, closedAt: now - 300_000, ...given }),
  });

  it.each<[string, Partial<DomainRuns>, Given, Verdict['act'], string | undefined]>([
    ['stays while it is protected', standing, { metadata: deleted }, undefined, 'TornDown=False DeletionProtected'],
    ['goes at once where nothing was begun', {}, { metadata: deleted }, 'release', undefined],
    [
      'goes at once where the trust domain is another’s',
      { bootstrap: runOf({ claimUid: 'x' }) },
      { metadata: deleted },
      'release',
      undefined,
    ],
    ['has its trust domain torn down', standing, unprotected, 'tearDown', 'TornDown=False TearingDown'],
    [
      'has what grows undone first',
      { bootstrap: runOf(running) },
      unprotected,
      'cancelBootstrap',
      'TornDown=False Undoing',
    ],
    [
      'has an update of its own aborted first',
      { ...standing, update: runOf(running) },
      unprotected,
      'abortUpdate',
      'TornDown=False Undoing',
    ],
    [
      'waits for the update that a person started',
      { ...standing, update: runOf({ ...running, claimUid: undefined }) },
      unprotected,
      undefined,
      'TornDown=False Undoing',
    ],
    ['is followed', over(running), unprotected, undefined, 'TornDown=False TearingDown'],
    ['goes when nothing is left', over({ report: { left: [] } }), unprotected, 'release', undefined],
    [
      'stays where something is left, and it is tried again',
      over({ report: { left: [{ name: 'aws network x', reason: 'still listed' }] } }),
      unprotected,
      'tearDown',
      'TornDown=False LeftBehind',
    ],
    [
      'stays where the tear-down failed',
      over({ ...failedWith('Unavailable') }),
      unprotected,
      undefined,
      'TornDown=False TearDownFailed',
    ],
    [
      'is torn down anew where it was grown since the last tear-down',
      { ...standing, tearDown: runOf({ startedAt: now - 900_000, closedAt: now - 800_000, report: { left: [] } }) },
      unprotected,
      'tearDown',
      'TornDown=False TearingDown',
    ],
  ])('%s', (_, runs, given, wanted, reason) => {
    const verdict = act(runs, given);
    expect(verdict.act).toBe(wanted);
    expect(reasons(verdict).at(-1)).toBe(reason);
  });

  it('takes nothing from the claim that has its trust domain', () => {
    const older = claimOf({ metadata: { name: 'first', uid: 'uid-0' } });
    expect(act(standing, unprotected, older).act).toBe('release');
  });
});

describe('what is said', () => {
  it('is news once, keeps the time of what has not changed, and is an event where it has', () => {
    const verdict = decide(claimOf(), undefined, standing, now);
    const first = composeStatus(claimOf(), verdict, now);
    expect(first.changed.map(({ type }) => type)).toEqual(['Accepted', 'Standing', 'UpToDate']);
    expect(first.status.state).toBe('UpToDate');
    const { object } = claimOf();
    const told = readClaim({ ...object, status: { espalier: first.status } });
    expect(isNews(claimOf(), first)).toBe(true);
    const second = composeStatus(told, verdict, now + 60_000);
    expect(second.changed).toEqual([]);
    expect(isNews(told, second)).toBe(false);
    const other = composeStatus(
      told,
      decide(claimOf(), undefined, { ...standing, standsAs: 'other' }, now),
      now + 60_000,
    );
    expect(other.changed.map(({ type, reason }) => `${type} ${reason}`)).toEqual(['UpToDate Updating']);
    expect(other.status.conditions!.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([
      '2026-11-27T12:00:00.000Z',
      '2026-11-27T12:00:00.000Z',
      '2026-11-27T12:01:00.000Z',
    ]);
  });
});
