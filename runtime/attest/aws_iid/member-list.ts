// A list of those who belong, kept for a while. Who is not on it has it read again, a few times within that while: a new member need not wait, and
// strangers do not make us ask without end. What cannot be read again is not believed beyond its time.

export interface MemberListOptions {
  readonly list: (signal: AbortSignal) => Promise<ReadonlySet<string>>;
  readonly ttlMs: number;
  readonly clock: () => number;
}

export interface MemberList {
  has(member: string): Promise<boolean>;
}

interface Kept {
  readonly members: ReadonlySet<string>;
  readonly until: number;
  readonly rereads: number;
}

const maxRereads = 5;
const timeoutMs = 20_000;

export function createMemberList({ list, ttlMs, clock }: MemberListOptions): MemberList {
  let kept: Kept | undefined;
  let reading: Promise<Kept> | undefined;

  /** One request, however many wait; its time is its own, so that no caller who leaves takes it from the others. */
  const read = (next: (members: ReadonlySet<string>) => Kept): Promise<Kept> => {
    reading ??= list(AbortSignal.timeout(timeoutMs))
      .then((members) => (kept = next(members)))
      .finally(() => {
        reading = undefined;
      });
    return reading;
  };

  return {
    async has(member) {
      if (kept === undefined || clock() >= kept.until) {
        const { members } = await read((fresh) => ({ members: fresh, until: clock() + ttlMs, rereads: 0 }));
        return members.has(member);
      }
      if (kept.members.has(member)) return true;
      const { until, rereads } = kept;
      if (rereads >= maxRereads) return false;
      const { members } = await read((fresh) => ({ members: fresh, until, rereads: rereads + 1 }));
      return members.has(member);
    },
  };
}
