// Up to when something that an authority signed may be valid, kept in the store ahead of the signatures: a bound, written every few hours, and the longest
// that was signed for, which hardly ever grows. Nearly no signature waits for a write. Once the authority has retired, the exact time takes their place.
import type { Logger } from '../../log.ts';
import { StoreError } from '../store/errors.ts';
import type { AuthorityKindName, SignedUntil } from '../store/records.ts';
import type { IssuanceStore } from '../store/store.ts';
import type { RestoredSlots } from './rotation.ts';
import type { Slot } from './slot.ts';

export interface SignedUntilMarks {
  /** Synchronous, and nearly always true. */
  isCovered(slot: Slot, expiresAt: number): boolean;
  /** Afterwards ask again: it is covered, or the store is away: signing goes on, as it does in SPIRE, and the bound follows when the store is back. */
  cover(slot: Slot, expiresAt: number): Promise<void>;
  /** Something was signed. Epoch ms. */
  readonly note: (slot: Slot, expiresAt: number) => void;
  /** Keeps the bound well ahead of what is signed, and settles what could not be settled before. */
  advance(active: Slot, now: number): Promise<void>;
  /** It signs no more. */
  readonly retire: (slot: Slot) => Promise<void>;
}

/** As long as this the store may be away without a signature beyond the bound. */
const aheadMs = 6 * 3_600_000;

export interface SignedUntilOptions {
  readonly kind: AuthorityKindName;
  readonly store: IssuanceStore;
  readonly log: Logger;
  readonly clock: () => number;
  /** The authorities of the time before the restart: what they signed then is known from the store alone. */
  readonly restored: RestoredSlots<Slot>;
}

interface Mark {
  /** Epoch ms. */
  bound: number;
  seen: number;
  /** The longest that it has signed for, in ms, and what the store knows of it. */
  longest: number;
  stored: number;
  /** One write serves all who wait for it. */
  covering?: Promise<void> | undefined;
}

export async function openSignedUntil({
  kind,
  store,
  log,
  clock,
  restored,
}: SignedUntilOptions): Promise<SignedUntilMarks> {
  const marks = new Map<string, Mark>();
  const unsettled = new Map<string, Slot>();
  const markOf = ({ authorityId }: Slot): Mark => {
    const known = marks.get(authorityId) ?? { bound: 0, seen: 0, longest: 0, stored: 0 };
    marks.set(authorityId, known);
    return known;
  };
  const recordOf = (slot: Slot, until: number, longest: number): Omit<SignedUntil, 'settled'> => ({
    kind,
    authorityId: slot.authorityId,
    upstreamAuthorityId: slot.upstreamAuthorityId ?? '',
    expiresAt: Math.ceil(slot.notAfter / 1000),
    until: Math.ceil(until / 1000),
    longestTtl: longest / 1000,
  });
  const raise = async (slot: Slot, until: number, longest: number): Promise<void> => {
    const mark = markOf(slot);
    mark.bound = (await store.raiseSignedUntil(recordOf(slot, Math.min(until, slot.notAfter), longest))) * 1000;
    mark.stored = longest;
    mark.longest = Math.max(mark.longest, longest);
  };
  const cover = async (slot: Slot, expiresAt: number): Promise<void> => {
    const mark = markOf(slot);
    const longest = Math.max(mark.longest, wholeSeconds(expiresAt - clock()));
    try {
      await raise(slot, expiresAt + aheadMs, longest);
    } catch (error) {
      if (!(error instanceof StoreError) || error.code !== 'UNAVAILABLE') throw error;
      log.warn({ err: error }, 'cannot keep up to when signatures are valid; it is tried again');
      mark.bound = Math.max(mark.bound, expiresAt);
      mark.longest = longest;
    }
  };
  const settle = async (slot: Slot): Promise<void> => {
    unsettled.set(slot.authorityId, slot);
    const { seen, longest } = markOf(slot);
    await store.settleSignedUntil(recordOf(slot, seen, longest));
    unsettled.delete(slot.authorityId);
    marks.delete(slot.authorityId);
  };

  const { active, old } = restored;
  const before = [active, old].filter((slot) => slot !== undefined);
  const rows = before.length === 0 ? [] : await store.listSignedUntil();
  for (const slot of before) {
    const row = rows.find((one) => one.kind === kind && one.authorityId === slot.authorityId);
    // Of an authority without a record, nothing less than its own end is certain; what an older server signed may have been for as long as its bound goes.
    const bound = row === undefined ? slot.notAfter : row.until * 1000;
    const longest = Math.max(0, row?.longestTtl == null ? wholeSeconds(bound - clock()) : row.longestTtl * 1000);
    // All that was signed before the restart was signed before now.
    const seen = row?.settled === true ? bound : Math.min(bound, clock() + longest);
    const stored = row?.longestTtl == null ? 0 : longest;
    marks.set(slot.authorityId, { bound: row === undefined ? 0 : bound, seen, longest, stored });
    if (slot === old && row?.settled !== true) unsettled.set(slot.authorityId, slot);
  }

  return {
    isCovered(slot, expiresAt) {
      const { bound, longest } = markOf(slot);
      return expiresAt <= bound && expiresAt - clock() <= longest;
    },
    cover(slot, expiresAt) {
      const mark = markOf(slot);
      mark.covering ??= cover(slot, expiresAt).finally(() => (mark.covering = undefined));
      return mark.covering;
    },
    note(slot, expiresAt) {
      const mark = markOf(slot);
      if (expiresAt > mark.seen) mark.seen = expiresAt;
    },
    async advance(active, now) {
      for (const slot of unsettled.values()) await settle(slot);
      const { bound, seen, longest, stored } = markOf(active);
      const needed = Math.min(Math.max(seen, now) + aheadMs / 2, active.notAfter);
      // The store keeps whole seconds.
      if (bound + 1_000 <= needed || longest > stored) await raise(active, Math.max(seen, now) + aheadMs, longest);
    },
    async retire(slot) {
      await settle(slot).catch((error: unknown) =>
        log.warn({ err: error }, 'an authority that retired is not settled'),
      );
    },
  };
}

function wholeSeconds(ms: number): number {
  return Math.ceil(ms / 1000) * 1000;
}
