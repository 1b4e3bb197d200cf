// Says what strangers can make happen as often as they like: so many times a second and no more, and how many times it was not said.

/** Writes, or counts for the next time. */
export type Sparing = (write: (unsaid: number) => void) => void;

/** `now`: milliseconds that never go back. */
export function createSparing(perSecond: number, now: () => number): Sparing {
  let [began, said, unsaid] = [Number.NEGATIVE_INFINITY, 0, 0];
  return (write) => {
    if (now() - began >= 1_000) [began, said] = [now(), 0];
    if (said >= perSecond) {
      unsaid += 1;
      return;
    }
    said += 1;
    const before = unsaid;
    unsaid = 0;
    write(before);
  };
}
