// Up to when something that an authority signed may be valid, kept in the store ahead of the signatures: one write every few hours, none on the way of a
// signature. Once the authority has retired, the exact time takes the place of the bound.
import type { Logger } from '../../log.ts';
import { StoreError } from '../store/errors.ts';
import type { AuthorityKindName, SignedUntil } from '../store/records.ts';
import type { IssuanceStore } from '../store/store.ts';
import type { RestoredSlots } from './rotation.ts';
import type { Slot } from './slot.ts';

export interface SignedUntilMarks {
  /** Synchronous, and nearly always true. */
  isCovered(slot: Slot, expiresAt: number): boolean;
  /** Afterwards it is covered, or the store is away: signing goes on, as it does in SPIRE, and the bound follows when the store is back. */
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
  /** The authorities of the time before the restart: what they signed then is known from the store alone. */
  readonly restored: RestoredSlots<Slot>;
}

interface Mark {
  /** Epoch ms. */
  bound: number;
  seen: number;
}

export async function openSignedUntil({ kind, store, log, restored }: SignedUntilOptions): Promise<SignedUntilMarks> {
  const marks = new Map<string, Mark>();
  const unsettled = new Map<string, Slot>();
  const markOf = ({ authorityId }: Slot): Mark => {
    const known = marks.get(authorityId) ?? { bound: 0, seen: 0 };
    marks.set(authorityId, known);
    return known;
  };
  const recordOf = (slot: Slot, until: number): Omit<SignedUntil, 'settled'> => ({
    kind,
    authorityId: slot.authorityId,
    upstreamAuthorityId: slot.upstreamAuthorityId ?? '',
    expiresAt: Math.ceil(slot.notAfter / 1000),
    until: Math.ceil(until / 1000),
  });
  const raise = async (slot: Slot, until: number): Promise<void> => {
    const wanted = Math.min(until, slot.notAfter);
    markOf(slot).bound = (await store.raiseSignedUntil(recordOf(slot, wanted))) * 1000;
  };
  const settle = async (slot: Slot): Promise<void> => {
    unsettled.set(slot.authorityId, slot);
    await store.settleSignedUntil(recordOf(slot, markOf(slot).seen));
    unsettled.delete(slot.authorityId);
    marks.delete(slot.authorityId);
  };

  const { active, old } = restored;
  const before = [active, old].filter((slot) => slot !== undefined);
  const stored = before.length === 0 ? [] : await store.listSignedUntil();
  for (const slot of before) {
    const row = stored.find((one) => one.kind === kind && one.authorityId === slot.authorityId);
    // Of an authority without a record, nothing less than its own end is certain.
    const until = row === undefined ? slot.notAfter : row.until * 1000;
    marks.set(slot.authorityId, { bound: row === undefined ? 0 : until, seen: until });
    if (slot === old && row?.settled !== true) unsettled.set(slot.authorityId, slot);
  }

  return {
    isCovered: (slot, expiresAt) => expiresAt <= markOf(slot).bound,
    async cover(slot, expiresAt) {
      try {
        await raise(slot, expiresAt + aheadMs);
      } catch (error) {
        if (!(error instanceof StoreError) || error.code !== 'UNAVAILABLE') throw error;
        log.warn({ err: error }, 'cannot keep up to when signatures are valid; it is tried again');
        markOf(slot).bound = Math.max(markOf(slot).bound, expiresAt);
      }
    },
    note(slot, expiresAt) {
      const mark = markOf(slot);
      if (expiresAt > mark.seen) mark.seen = expiresAt;
    },
    async advance(active, now) {
      for (const slot of unsettled.values()) await settle(slot);
      const { bound, seen } = markOf(active);
      const needed = Math.min(Math.max(seen, now) + aheadMs / 2, active.notAfter);
      // The store keeps whole seconds.
      if (bound + 1_000 <= needed) await raise(active, Math.max(seen, now) + aheadMs);
    },
    async retire(slot) {
      await settle(slot).catch((error: unknown) =>
        log.warn({ err: error }, 'an authority that retired is not settled'),
      );
    },
  };
}
