// Says again and again how things stand, to a server that wants to know: when they change, and now and then although they do not. A server that does
// not have the method is left alone for a while.
import type { Bell } from './bell.ts';
import { isUnimplemented } from './keep-watching.ts';

export interface KeepReportingOptions<T> {
  readonly compose: () => T;
  /** Two with the same content need not both be sent. */
  readonly contentOf: (report: T) => string;
  /** Things are on their way to another state, of which no bell will tell. */
  readonly isUnsettled: (report: T) => boolean;
  /** Answers after how many milliseconds without a change the next is due. */
  readonly send: (report: T, signal: AbortSignal) => Promise<number>;
  readonly onFailure: (error: unknown) => void;
  /** Rings when things have changed. */
  readonly changed: Bell;
  /** The longest time between two looks. */
  readonly lookMs?: number;
  readonly random: () => number;
  readonly clock: () => number;
}

/** A change makes several, and takes a moment to be over. */
const settleMs = 500;
const unsettledMs = 1_000;
const retryMs = 5_000;
const askAgainMs = 5 * 60_000;

/** Until the signal; never rejects. */
export async function keepReporting<T>(options: KeepReportingOptions<T>, signal: AbortSignal): Promise<void> {
  const { compose, contentOf, isUnsettled, send, onFailure, changed, random, clock } = options;
  const longestLookMs = options.lookMs ?? Number.POSITIVE_INFINITY;
  const isOver = (): boolean => signal.aborted;
  let [said, dueAt] = ['', 0];

  /** Until when nothing needs to be said, unless something changes. */
  const look = async (): Promise<number> => {
    const report = compose();
    const content = contentOf(report);
    if (content !== said || clock() >= dueAt) {
      const heartbeatMs = await send(report, signal);
      [said, dueAt] = [content, clock() + heartbeatMs * (0.8 + 0.2 * random())];
    }
    return isUnsettled(report) ? unsettledMs : Math.min(longestLookMs, Math.max(settleMs, dueAt - clock()));
  };

  while (!isOver()) {
    let waitMs = retryMs;
    try {
      waitMs = await look();
    } catch (error) {
      if (!isOver()) onFailure(error);
      if (isUnimplemented(error)) waitMs = askAgainMs * (0.5 + random());
    }
    await changed.wait(signal, waitMs).catch(() => undefined); // aborted: the loop sees it
    if (!isOver()) await new Promise((resolve) => setTimeout(resolve, settleMs).unref());
  }
}
