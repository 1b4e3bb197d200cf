// Tells a server of ours what the agent serves. A plain SPIRE server does not ask.
import type { ReportRequest } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Logger } from '../../log.ts';
import { keepReporting } from '../../rpc/keep-reporting.ts';
import type { Bell } from '../cache/bell.ts';
import type { ServerLink } from '../node/server-link.ts';

export interface ReporterOptions {
  readonly compose: () => ReportRequest;
  readonly link: Pick<ServerLink, 'clients' | 'onRenew'>;
  /** Rings when what is served has changed. */
  readonly changed: Bell;
  readonly random: () => number;
  readonly clock: () => number;
  readonly log: Logger;
}

const callMs = 10_000;

/** Until the signal; never rejects. */
export async function runReporter(options: ReporterOptions, signal: AbortSignal): Promise<void> {
  const { compose, link, changed, random, clock, log } = options;
  const unlisten = link.onRenew(() => changed.ring()); // another SVID of its own
  await keepReporting(
    {
      compose,
      contentOf: (report) => JSON.stringify({ ...report, sentAtMs: 0 }),
      isUnsettled: ({ streamsLagging }) => streamsLagging > 0,
      send: async (report) => (await link.clients().fleet.report(report, { signal, deadlineMs: callMs })).heartbeatMs,
      onFailure: (error) => log.debug({ err: error }, 'Failed to report to the server'),
      changed,
      random,
      clock,
    },
    signal,
  );
  unlisten();
}
