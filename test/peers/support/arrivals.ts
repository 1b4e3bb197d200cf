// How long a change takes to come to each of those who are to have it: looked at every few milliseconds, from the moment at which it was asked for.
import { setTimeout as delay } from 'node:timers/promises';

export interface Arrival {
  readonly holder: string;
  readonly afterMs: number;
}

export type Holders = ReadonlyMap<string, () => boolean | Promise<boolean>>;

const everyMs = 10;

/** Of all of them, the last first; throws with the names of those whom it has not reached in time. */
export async function arrivals(since: number, holders: Holders, patienceMs: number): Promise<readonly Arrival[]> {
  const [found, missing] = [[] as Arrival[], new Set(holders.keys())];
  await Promise.all(
    [...holders].map(async ([holder, hasIt]) => {
      while (Date.now() - since < patienceMs) {
        if (await hasIt()) {
          found.push({ holder, afterMs: Date.now() - since });
          missing.delete(holder);
          return;
        }
        await delay(everyMs);
      }
    }),
  );
  if (missing.size > 0) throw new Error(`not within ${patienceMs} ms: ${[...missing].join(', ')}`);
  return found.toSorted((a, b) => b.afterMs - a.afterMs);
}

/** `0.6 s to the last of 18 (node-a1)`. */
export function inWords(found: readonly Arrival[]): string {
  const [last] = found;
  return `${((last?.afterMs ?? 0) / 1000).toFixed(1)} s to the last of ${found.length} (${last?.holder ?? 'nobody'})`;
}
