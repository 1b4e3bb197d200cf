// One look at the clock: the bundle as it is now, both kinds of authority rotated when they are due, what the bundle demands, and what was signed noted. A
// part that cannot be had does not keep the others waiting.
import { StoreError } from '../store/errors.ts';
import type { AuthorityContext } from './authority-context.ts';
import type { Journal } from './journal.ts';
import type { Rotation } from './rotation.ts';
import type { SignedUntilMarks } from './signed-until.ts';
import type { Slot } from './slot.ts';

type Kind<S extends Slot> = Pick<Rotation<S>, 'tick' | 'active' | 'control'> & { readonly marks: SignedUntilMarks };

export interface TickParts<X extends Slot, J extends Slot> {
  readonly context: Pick<AuthorityContext, 'live' | 'clock' | 'log' | 'signal'>;
  readonly x509: Kind<X>;
  /** Absent where JWT-SVIDs are disabled. */
  readonly jwt: Kind<J> | undefined;
  readonly journal: Pick<Journal, 'flush'>;
  /** What the bundle in the store demands of this server. */
  readonly apply: () => Promise<void>;
}

export interface Tick {
  readonly tick: () => Promise<void>;
  /** In a row, up to now. */
  readonly failures: () => number;
}

export function createTick<X extends Slot, J extends Slot>(parts: TickParts<X, J>): Tick {
  const { context, x509, jwt, journal, apply } = parts;
  const { live, clock, log } = context;
  const canSign = (): boolean => x509.control.states().active !== undefined;
  let failures = 0;

  /** A JWT key must not wait for an X.509 CA that cannot be had, unless there is none at all: then nothing can be noted. */
  async function rotate(): Promise<void> {
    const failed: unknown[] = [];
    const kinds = [['X509 CA', x509] as const, ...(jwt === undefined ? [] : [['JWT key', jwt] as const])];
    for (const [label, kind] of kinds) {
      await kind.tick().catch((error: unknown) => {
        failed.push(error);
        if (!context.signal.aborted) log.error({ err: error }, `Unable to rotate ${label}`);
      });
      if (failed.length > 0 && !canSign()) break;
    }
    if (failed.length > 1) throw new AggregateError(failed, 'neither X.509 CA nor JWT key could be rotated');
    if (failed.length > 0) throw failed[0];
  }

  async function act(): Promise<void> {
    // A successor that is prepared is activated in time, though the store be away.
    const away = await live.refresh().then(() => undefined, unavailable);
    const failed = await rotate().then(() => undefined, wrapped);
    if (failed !== undefined && !canSign()) throw failed.error;
    if (away !== undefined) throw away;
    // What the bundle demands does not wait for an upstream that is away: other servers may wait for it.
    await apply();
    if (failed !== undefined) throw failed.error;
    await x509.marks.advance(x509.active(), clock());
    await jwt?.marks.advance(jwt.active(), clock());
    await journal.flush();
  }

  return {
    failures: () => failures,
    async tick() {
      try {
        await act();
        failures = 0;
      } catch (error) {
        failures += 1;
        throw error;
      }
    },
  };
}

function wrapped(error: unknown): { readonly error: unknown } {
  return { error };
}

function unavailable(error: unknown): StoreError {
  if (error instanceof StoreError && error.code === 'UNAVAILABLE') return error;
  throw error;
}
