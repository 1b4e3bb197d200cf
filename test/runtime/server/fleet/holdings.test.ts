// Who holds what, from the store: reports as they are kept, and the judgement of them page by page.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HolderKind, Proof } from '../../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Holding } from '../../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { createHoldings } from '../../../../runtime/server/fleet/holdings.ts';
import { createReportBuffer } from '../../../../runtime/server/fleet/report-buffer.ts';
import type { ReportBuffer } from '../../../../runtime/server/fleet/report-buffer.ts';
import type { AuthorityNotes } from '../../../../runtime/server/fleet/note-authorities.ts';
import { startNotingAuthorities } from '../../../../runtime/server/fleet/note-authorities.ts';
import { x509AuthorityId } from '../../../../runtime/server/store/bundle-changes.ts';
import type { FleetReport } from '../../../../runtime/server/store/fleet-records.ts';
import type { AgentRecord } from '../../../../runtime/server/store/records.ts';
import type { CertificateAuthority } from '../../../../runtime/server/ca/authority.ts';
import { createMovableClock, createTestAuthority, hourMs } from '../../../support/authorities.ts';
import type { MovableClock } from '../../../support/authorities.ts';
import { createTestStore, silentLog } from '../../../support/stores.ts';
import type { TestStore } from '../../../support/stores.ts';

const prefix = 'spiffe://example.org/spire/agent/x/';
let db: TestStore;
let clock: MovableClock;
let ca: CertificateAuthority;
let reports: ReportBuffer;
let notes: AuthorityNotes;
let holdings: ReturnType<typeof createHoldings>;

beforeEach(async () => {
  db = await createTestStore();
  clock = createMovableClock();
  ca = await createTestAuthority({ store: db.store, clock });
  reports = createReportBuffer({ store: db.store, log: silentLog });
  notes = await startNotingAuthorities({ store: db.store, authority: ca, clock, log: silentLog });
  holdings = createHoldings({ store: db.store, reports, notes, authority: ca, agentTtlMs: hourMs, clock });
});
afterEach(async () => {
  await reports.close();
  await notes.close();
  await ca.close();
  await db.drop();
});

const inHours = (hours: number) => Math.floor((clock() + hours * hourMs) / 1000);

async function addAgent(name: string, patch: Partial<AgentRecord> = {}): Promise<string> {
  const agent: AgentRecord = {
    spiffeId: prefix + name,
    attestationType: 'x',
    x509SvidSerialNumber: '1',
    x509SvidExpiresAt: inHours(1),
    newX509SvidSerialNumber: '',
    newX509SvidExpiresAt: 0,
    banned: false,
    canReattest: false,
    selectors: [],
    ...patch,
  };
  await db.store.saveAgent(agent);
  return agent.spiffeId;
}

/** What an agent that has everything says now. */
function upToDate(more: Partial<FleetReport> = {}): FleetReport {
  const { x509Authorities, jwtAuthorities } = ca.bundle();
  return {
    version: '1',
    x509: x509Authorities.map((one) => ({ authorityId: x509AuthorityId(one), tainted: one.tainted === true })),
    jwt: jwtAuthorities.map(({ keyId, tainted = false }) => ({ authorityId: keyId, tainted })),
    issued: [],
    streams: 0,
    streamsLagging: 0,
    clockSkewMs: 0,
    ...more,
  };
}

const report = (spiffeId: string, given = upToDate(), instance = '') =>
  reports.add({
    kind: instance === '' ? 'agent' : 'downstream',
    spiffeId,
    instance,
    reportedAt: clock(),
    report: given,
  });
const list = async (onlyBehind = false) =>
  (await holdings.list({ size: 100, token: '', kinds: [HolderKind.AGENT, HolderKind.DOWNSTREAM], onlyBehind }))
    .holdings;
const one = async (id: string): Promise<Holding> => (await list()).find((holding) => holding.id === id)!;
const oldId = () => ca.x509Authority().authorityId;

describe('an agent that reports', () => {
  test('what the bundle has has shown it, and so have its streams once they are written', async () => {
    const id = await addAgent('a');
    report(id, upToDate({ streams: 3, streamsLagging: 1, clockSkewMs: 40 }));
    expect(await one(id)).toMatchObject({
      kind: HolderKind.AGENT,
      version: '1',
      reportedAtMs: clock(),
      clockSkewMs: 40,
      silent: false,
      streams: 3,
      streamsLagging: 1,
      proof: Proof.PROOF_SHOWN,
      streamsProof: Proof.PROOF_NONE,
      behindSinceMs: 0,
      missing: [],
    });
    report(id, upToDate({ streams: 3 }));
    expect(await one(id)).toMatchObject({ streamsProof: Proof.PROOF_DRAINED });
  });

  test('is behind since an authority came that it does not have', async () => {
    const [slow, quick] = [await addAgent('slow'), await addAgent('quick')];
    report(slow);
    clock.advance(5_000);
    const { authorityId } = await ca.x509.prepare();
    clock.advance(7_000);
    report(quick);
    const behind = await list(true);
    expect(behind.map(({ id }) => id)).toEqual([slow]);
    expect(behind[0]).toMatchObject({
      proof: Proof.PROOF_NONE,
      streamsProof: Proof.PROOF_NONE,
      behindSinceMs: clock() - 7_000,
      missing: [`lacks X.509 authority ${authorityId}`],
    });
  });

  test('is behind while it shows or serves anything below a tainted authority', async () => {
    const id = await addAgent('a');
    const tainted = oldId();
    const { authorityId } = await ca.x509.prepare();
    await ca.x509.activate(authorityId);
    const before = upToDate();
    await ca.x509.taint(tainted);
    const below = { authorityIds: [tainted], count: 2, earliestNotAfter: inHours(1), latestNotAfter: inHours(1) };
    report(id, { ...before, own: { ...below, count: 1 }, issued: [below] });
    expect((await one(id)).missing).toEqual([
      `does not know that X.509 authority ${tainted} is tainted`,
      `its own certificate hangs on tainted X.509 authority ${tainted}`,
      `serves 2 SVIDs that hang on tainted X.509 authority ${tainted}`,
    ]);
    report(id);
    expect((await one(id)).missing).toEqual([]);
    await ca.x509.revoke(tainted);
    expect((await one(id)).missing).toEqual([`still has X.509 authority ${tainted}`]);
  });

  test('is silent when it misses its heartbeats, and what it showed stays shown', async () => {
    const id = await addAgent('a');
    report(id);
    clock.advance(181_000);
    expect(await one(id)).toMatchObject({ silent: true, proof: Proof.PROOF_SHOWN });
  });

  test.each([
    ['an hour', hourMs, 60_000],
    ['ten minutes', 600_000, 60_000],
    ['a minute', 60_000, 7_500],
    ['two seconds', 2_000, 1_000],
  ])('is to report often enough to be missed before what it holds ends: SVIDs of %s', async (_, agentTtlMs, beat) => {
    holdings = createHoldings({ store: db.store, reports, notes, authority: ca, agentTtlMs, clock });
    expect(holdings.heartbeatMs).toBe(beat);
    const id = await addAgent('a');
    report(id);
    clock.advance(3 * beat);
    expect(await one(id)).toMatchObject({ silent: false });
    clock.advance(1_000);
    expect(await one(id)).toMatchObject({ silent: true });
  });

  test('is aged out when all that it lacked has ended with its own SVID', async () => {
    const id = await addAgent('a');
    report(id);
    await ca.x509.prepare();
    expect((await one(id)).proof).toBe(Proof.PROOF_NONE);
    clock.advance(hourMs + 1_000);
    expect(await one(id)).toMatchObject({ proof: Proof.PROOF_AGED_OUT, streamsProof: Proof.PROOF_AGED_OUT });
  });
});

describe('an agent of plain SPIRE, which never reports,', () => {
  test('counts when its SVID is younger than the newest authority, and not before', async () => {
    clock.advance(1_000);
    const { authorityId } = await ca.x509.prepare();
    clock.advance(10_000);
    const older = await addAgent('older', { x509SvidExpiresAt: inHours(1) - 60, agentVersion: '1.15.3' });
    const younger = await addAgent('younger', { x509SvidExpiresAt: inHours(1) });
    expect(await one(younger)).toMatchObject({ reportedAtMs: 0, proof: Proof.PROOF_AGED_OUT });
    expect(await one(older)).toMatchObject({
      version: '1.15.3',
      reportedAtMs: 0,
      proof: Proof.PROOF_NONE,
      behindSinceMs: clock() - 11_000,
      missing: expect.arrayContaining([
        `has not said that it heard of X.509 authority ${authorityId}, which came`,
      ]) as string[],
    });
  });
});

describe('what is kept', () => {
  test('goes with the agent', async () => {
    const id = await addAgent('a');
    report(id);
    await reports.flush();
    await db.store.deleteAgent(id);
    await addAgent('a');
    expect(await one(id)).toMatchObject({ reportedAtMs: 0 });
  });

  test('is nothing of an agent that is not there', async () => {
    report(`${prefix}nobody`);
    expect(await list()).toEqual([]);
    await addAgent('nobody');
    expect(await one(`${prefix}nobody`)).toMatchObject({ reportedAtMs: 0 });
  });

  test('is the later of two reports, whichever server writes first', async () => {
    const id = await addAgent('a');
    const beside = createReportBuffer({ store: db.store, log: silentLog });
    report(id, upToDate({ version: 'later' }));
    await reports.flush();
    beside.add({ kind: 'agent', spiffeId: id, instance: '', reportedAt: clock() - 1, report: upToDate() });
    await beside.close();
    expect((await one(id)).version).toBe('later');
  });

  test('is one row for each instance of a downstream server, and no more than 64 of one ID', async () => {
    const own = { authorityIds: ['i', oldId()], count: 1, earliestNotAfter: inHours(9), latestNotAfter: inHours(9) };
    for (let i = 0; i < 70; i += 1) {
      report('spiffe://example.org/below', upToDate({ own }), `server-${i}`);
      await reports.flush();
    }
    const kept = await list();
    expect(kept).toHaveLength(64);
    expect(kept[0]).toMatchObject({ kind: HolderKind.DOWNSTREAM, instance: 'server-0', proof: Proof.PROOF_SHOWN });
    report('spiffe://example.org/below', upToDate({ own, version: '2' }), 'server-0');
    expect((await list())[0]).toMatchObject({ version: '2' });
  });
});

describe('pages', () => {
  test('come in order, each holder once, banned agents not', async () => {
    const ids = [];
    for (let i = 0; i < 5; i += 1) ids.push(await addAgent(`a${i}`));
    await db.store.banAgent(ids[2]!);
    report('spiffe://example.org/below', upToDate(), 'i');
    const seen: string[] = [];
    let token = '';
    do {
      const page = await holdings.list({ size: 2, token, kinds: [], onlyBehind: false });
      expect(page.holdings.length).toBeLessThanOrEqual(2);
      seen.push(...page.holdings.map(({ kind, id }) => (kind === HolderKind.SERVER ? 'server' : id)));
      token = page.nextPageToken;
    } while (token !== '');
    expect(seen).toEqual(['server', ids[0], ids[1], ids[3], ids[4], 'spiffe://example.org/below']);
  });

  test.each(['x', '3.1', '1.', '1.1x', '-1.1'])('with token %j are refused', async (token) => {
    await expect(holdings.list({ size: 1, token, kinds: [], onlyBehind: false })).rejects.toMatchObject({
      code: 'INVALID',
      message: `could not parse token ${JSON.stringify(token)}`,
    });
  });
});

describe('the count', () => {
  test('says for one authority who has it, what hangs on it, and when the last of that ends', async () => {
    const [a, b] = [await addAgent('a'), await addAgent('b')];
    const below = { authorityIds: [oldId()], count: 5, earliestNotAfter: inHours(0.5), latestNotAfter: inHours(1) };
    report(a, upToDate({ own: { ...below, count: 1 }, issued: [below], streams: 4, streamsLagging: 1 }));
    clock.advance(1_000);
    const { authorityId } = await ca.x509.prepare();
    report(b);
    const ofOld = (await holdings.count(oldId())).kinds.find(({ kind }) => kind === HolderKind.AGENT);
    expect(ofOld).toMatchObject({
      total: 2,
      shown: 2,
      behind: 0,
      streams: 4,
      streamsLagging: 1,
      holdersBelow: 1,
      certificatesBelow: 6,
      latestNotAfterBelow: below.latestNotAfter,
    });
    const { kinds, authorities } = await holdings.count(authorityId);
    expect(kinds.map(({ kind, total, shown, behind }) => [kind, total, shown, behind])).toEqual([
      [HolderKind.SERVER, 1, 1, 0],
      [HolderKind.AGENT, 2, 1, 1],
      [HolderKind.DOWNSTREAM, 0, 0, 0],
    ]);
    expect(kinds[1]?.behindSinceMs).toBe(clock());
    expect(authorities.find((authority) => authority.authorityId === authorityId)).toMatchObject({
      jwt: false,
      tainted: false,
      published: true,
      publishedAtMs: clock(),
    });
  });

  test('of an authority that nobody ever had is refused', async () => {
    await expect(holdings.count('nobodys')).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: 'no authority "nobodys"',
    });
  });
});
