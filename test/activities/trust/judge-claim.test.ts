// Whether a tier bears out a claim, by what its server says of every holder. Silence proves nothing, and a decision to go on without somebody is by name.
import { expect, test } from 'vitest';
import { HolderKind, Proof } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Authority, Holding, HoldingsOfKind } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { judgeTier } from '../../../activities/trust/judge-claim.ts';
import type { TierQuestion } from '../../../activities/trust/judge-claim.ts';
import { notFound } from '../../../runtime/rpc/status.ts';

const now = Date.parse('2026-11-26T12:00:00Z');
const inSeconds = (seconds: number): number => now / 1000 + seconds;
const agent = 'spiffe://example.org/spire/agent/a';

interface Said {
  readonly authorities?: readonly Partial<Authority>[];
  readonly kinds?: readonly Partial<HoldingsOfKind>[];
  readonly holdings?: readonly Partial<Holding>[];
  readonly unknown?: boolean;
}

/** A server that says this of its tier; its list is cut in pages of one. */
function fleetSaying({ authorities = [], kinds = [], holdings = [], unknown = false }: Said) {
  const zero = {
    total: 0,
    shown: 0,
    agedOut: 0,
    behind: 0,
    silent: 0,
    streams: 0,
    streamsLagging: 0,
    holdersBelow: 0,
    certificatesBelow: 0,
    latestNotAfterBelow: 0,
    behindSinceMs: 0,
  };
  const dated = {
    jwt: false,
    tainted: false,
    published: true,
    publishedAtMs: 0,
    taintedAtMs: 0,
    revokedAtMs: 0,
    latestNotAfter: 0,
    unaccountedCaNotAfter: 0,
    unaccountedCaHolders: [],
  };
  const none = {
    kind: HolderKind.AGENT,
    id: agent,
    instance: '',
    version: '',
    reportedAtMs: now,
    clockSkewMs: 0,
    silent: false,
    x509Authorities: [],
    jwtAuthorities: [],
    own: undefined,
    issued: [],
    streams: 0,
    streamsLagging: 0,
    proof: Proof.PROOF_SHOWN,
    streamsProof: Proof.PROOF_DRAINED,
    behindSinceMs: 0,
    missing: [],
  };
  const fleet = {
    async countHoldings() {
      if (unknown) throw notFound('no authority');
      return {
        nowMs: now,
        authorities: authorities.map((one) => ({ authorityId: 'old', ...dated, ...one })),
        kinds: kinds.map((one) => ({ kind: HolderKind.AGENT, ...zero, ...one })),
      };
    },
    async listHoldings({ pageToken, onlyBehind }: { pageToken: string; onlyBehind: boolean }) {
      const wanted = holdings
        .map((one) => ({ ...none, ...one }))
        .filter(
          ({ proof, streamsProof }) => !onlyBehind || proof === Proof.PROOF_NONE || streamsProof === Proof.PROOF_NONE,
        );
      const index = Number(pageToken || '0');
      return {
        holdings: wanted.slice(index, index + 1),
        nextPageToken: index + 1 < wanted.length ? String(index + 1) : '',
      };
    },
  };
  return { fleet } as unknown as Parameters<typeof judgeTier>[0];
}

const ask = (said: Said, question: Partial<TierQuestion>) =>
  judgeTier(fleetSaying(said), {
    tier: 'root',
    claim: 'held',
    kind: 'x509',
    authorityIds: ['old'],
    without: [],
    now,
    ...question,
  });

const under = (...x509AuthorityIds: string[]) => ({
  x509AuthorityIds,
  count: 3,
  earliestNotAfter: inSeconds(60),
  latestNotAfter: inSeconds(60),
});
const behind = { proof: Proof.PROOF_NONE, missing: ['lacks X.509 authority old'], behindSinceMs: now - 5_000 };

test('"held" is borne out when the bundle has it and everybody shows it', async () => {
  const { proof, missing } = await ask(
    { authorities: [{}], kinds: [{ total: 3, shown: 2, agedOut: 1, streams: 7 }] },
    {},
  );
  expect([proof, missing]).toEqual([{ tier: 'root', shown: 2, drained: 7, agedOut: 1, missing: 0 }, []]);
});

test('"held" names who lacks it, and since when', async () => {
  const { missing } = await ask({ authorities: [{}], kinds: [{ behind: 1 }], holdings: [behind] }, {});
  expect(missing).toEqual([
    { tier: 'root', kind: 'agent', id: agent, what: 'lacks X.509 authority old', since: '2026-11-26T11:59:55.000Z' },
  ]);
});

test('"held" is not borne out by a tier that has never heard of it, nor by one whose bundle lost it', async () => {
  expect((await ask({ unknown: true }, {})).missing.map(({ what }) => what)).toEqual([
    'authority old has not come there yet',
  ]);
  const lost = await ask({ authorities: [{ published: false }], kinds: [{ shown: 1 }] }, {});
  expect(lost.missing.map(({ what }) => what)).toEqual(['authority old is not in the bundle']);
});

test('"held" is not borne out before every stream has been written', async () => {
  const lagging = { streams: 4, streamsLagging: 2, streamsProof: Proof.PROOF_NONE };
  const { proof, missing } = await ask(
    { authorities: [{}], kinds: [{ shown: 1, streams: 4, streamsLagging: 2 }], holdings: [lagging] },
    {},
  );
  expect([proof.drained, missing.map(({ what }) => what)]).toEqual([2, ['2 streams have not been written']]);
});

test('somebody whom it was decided to go on without is not missing, and nobody else is left out', async () => {
  const holdings = [behind, { ...behind, id: `${agent}2` }];
  const { missing } = await ask({ authorities: [{}], kinds: [{ behind: 2 }], holdings }, { without: [agent] });
  expect(missing.map(({ id }) => id)).toEqual([`${agent}2`]);
});

test('whoever is behind for another authority is no concern of this one', async () => {
  const other = { ...behind, missing: ['lacks X.509 authority another'] };
  expect((await ask({ authorities: [{}], kinds: [{ shown: 1 }], holdings: [other] }, {})).missing).toEqual([]);
});

test('"tainted" wants the mark in the bundle, and "gone" wants it out of there', async () => {
  const untainted = await ask({ authorities: [{}], kinds: [{ shown: 1 }] }, { claim: 'tainted' });
  expect(untainted.missing.map(({ what }) => what)).toEqual(['authority old is not tainted']);
  expect(
    (await ask({ authorities: [{ tainted: true }], kinds: [{ shown: 1 }] }, { claim: 'tainted' })).missing,
  ).toEqual([]);
  const there = await ask({ authorities: [{ tainted: true }], kinds: [{ shown: 1 }] }, { claim: 'gone' });
  expect(there.missing.map(({ what }) => what)).toEqual(['authority old is still in the bundle']);
  expect((await ask({ unknown: true }, { claim: 'gone' })).missing).toEqual([]);
});

test('"moved" names agents and downstream servers under it, each with what it shows and serves', async () => {
  const holdings = [
    { own: under('middle', 'old'), issued: [under('old')] },
    { id: `${agent}2`, own: under('new'), issued: [under('old')] },
    { id: `${agent}3`, own: under('new'), issued: [under('new')], streams: 5 },
    { kind: HolderKind.DOWNSTREAM, id: 'spiffe://example.org/below', own: { ...under('old'), count: 1 } },
  ];
  const { missing, certificatesBelow, proof } = await ask({ holdings }, { claim: 'moved' });
  expect(missing.map(({ kind, id, what }) => [kind, id, what])).toEqual([
    ['agent', agent, 'its own certificate and 3 SVIDs that it serves under the old authority'],
    ['agent', `${agent}2`, '3 SVIDs that it serves under the old authority'],
    ['downstream', 'spiffe://example.org/below', 'its own certificate under the old authority'],
  ]);
  expect([certificatesBelow, proof.shown, proof.drained]).toEqual([10, 1, 5]);
});

test('"moved" does not count what has ended, nor who never reports', async () => {
  const ended = { ...under('old'), latestNotAfter: inSeconds(-1) };
  const holdings = [{ own: ended }, { id: `${agent}2`, reportedAtMs: 0, proof: Proof.PROOF_NONE }];
  const { missing, proof } = await ask({ holdings }, { claim: 'moved' });
  expect([missing, proof.shown]).toEqual([[], 1]);
});

test('"ended" waits for the last SVID, and for CAs that nobody accounts for, and says until when', async () => {
  const waiting = await ask(
    {
      authorities: [
        {
          latestNotAfter: inSeconds(10),
          unaccountedCaNotAfter: inSeconds(90),
          unaccountedCaHolders: ['spiffe://example.org/plain'],
        },
      ],
    },
    { claim: 'ended' },
  );
  expect(waiting.endsAt).toBe(now + 90_000);
  expect(waiting.missing.map(({ what }) => what)).toEqual([
    'SVIDs and the CA certificates of spiffe://example.org/plain under the old authority are still valid until 2026-11-26T12:01:30.000Z',
  ]);
  expect((await ask({ authorities: [{ latestNotAfter: inSeconds(0) }] }, { claim: 'ended' })).missing).toEqual([]);
});
