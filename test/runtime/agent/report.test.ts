// What an agent's reports do while its server is away and when it is back. Time stands still unless a test moves it, so that no retry by the clock is mistaken
// for a report that goes at once.
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import type { ReportRequest } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { ServerLink } from '../../../runtime/agent/node/server-link.ts';
import { runReporter } from '../../../runtime/agent/report/reporter.ts';
import { createSyncHints } from '../../../runtime/agent/sync/hints.ts';
import { watchServer } from '../../../runtime/agent/sync/watch-server.ts';
import { createBell } from '../../../runtime/rpc/bell.ts';
import { unavailable } from '../../../runtime/rpc/status.ts';
import { silentLog } from '../../support/stores.ts';

/** Longer than a report waits for a change to be over, and shorter than it waits after a failure. */
const momentMs = 1_000;
const heartbeatMs = 60_000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An agent's watch and reports as it runs them, and a server that can be away. */
function start() {
  const stopping = new AbortController();
  onTestFinished(() => stopping.abort());
  let isAway = false;
  let breakWatch: () => void = () => undefined;
  let [reports, refused] = [0, 0];
  const fleet = {
    async *watch() {
      if (isAway) throw unavailable('away');
      yield { revision: 'r1', entriesChanged: false, bundlesChanged: false };
      await new Promise<never>((_, reject) => (breakWatch = () => reject(unavailable('gone'))));
    },
    async report() {
      if (isAway) refused += 1;
      if (isAway) throw unavailable('away');
      reports += 1;
      return { heartbeatMs };
    },
  };
  const link = { clients: () => ({ fleet }), onRenew: () => () => undefined } as unknown as ServerLink;
  const changed = createBell();
  const { signal } = stopping;
  const common = { link, random: () => 0.5, clock: Date.now, log: silentLog };
  const hints = createSyncHints({ wanted: createBell(), clock: Date.now });
  void watchServer({ ...common, hints, onStanding: () => changed.ring() }, signal);
  void runReporter({ ...common, compose: () => ({ streamsLagging: 0 }) as ReportRequest, changed }, signal);
  return {
    hints,
    leave() {
      isAway = true;
      breakWatch();
    },
    comeBack: () => void (isAway = false),
    said: () => ({ reports, refused }),
  };
}

it('goes at once when the watch stands again, where one has failed meanwhile', async () => {
  const agent = start();
  await vi.advanceTimersByTimeAsync(momentMs);
  expect(agent.said()).toEqual({ reports: 1, refused: 0 });
  agent.leave();
  while (agent.said().refused === 0) await vi.advanceTimersByTimeAsync(100);
  expect(agent.hints.isWatching()).toBe(false);
  // Back in the middle of the pause that follows the failed report.
  agent.comeBack();
  while (!agent.hints.isWatching()) await vi.advanceTimersByTimeAsync(10);
  const { reports, refused } = agent.said();
  await vi.advanceTimersByTimeAsync(momentMs);
  expect([reports, agent.said()]).toEqual([1, { reports: 2, refused }]);
});

it('does not go again where all that there was to say has been said', async () => {
  const agent = start();
  await vi.advanceTimersByTimeAsync(momentMs);
  agent.leave();
  agent.comeBack();
  await vi.advanceTimersByTimeAsync(10 * momentMs);
  expect(agent.hints.isWatching()).toBe(true);
  expect(agent.said()).toEqual({ reports: 1, refused: 0 });
});
