// Reports on their way to the store: the latest of each reporter, all of them in one statement now and then. A report that is lost with the process
// comes again with the reporter's next heartbeat.
import type { Logger } from '../../log.ts';
import type { FleetReportRecord } from '../store/fleet-records.ts';
import type { FleetStore } from '../store/store.ts';

export interface ReportBuffer {
  add(report: FleetReportRecord): void;
  /** Resolves once what was added before is in the store. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

export interface ReportBufferOptions {
  readonly store: Pick<FleetStore, 'saveFleetReports'>;
  readonly log: Logger;
  readonly everyMs?: number;
}

const defaultEveryMs = 500;
/** A store that is away for long costs memory for so many reporters, no more. */
const mostReports = 50_000;
const largestBatch = 1_000;

export function createReportBuffer({ store, log, everyMs = defaultEveryMs }: ReportBufferOptions): ReportBuffer {
  const waiting = new Map<string, FleetReportRecord>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();

  const write = async (): Promise<void> => {
    while (waiting.size > 0) {
      const batch = [...waiting].slice(0, largestBatch);
      for (const [key] of batch) waiting.delete(key);
      try {
        await store.saveFleetReports(batch.map(([, report]) => report));
      } catch (error) {
        // Whatever came meanwhile is newer.
        for (const [key, report] of batch) if (!waiting.has(key)) waiting.set(key, report);
        throw error;
      }
    }
  };
  /** One after another, so that an older batch never follows a newer one. */
  const flush = (): Promise<void> => {
    const next = writing.then(write);
    writing = next.catch(() => undefined); // whoever called hears of the failure
    return next;
  };
  const writeSoon = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      flush().catch((error: unknown) => {
        log.warn({ err: error, count: waiting.size }, 'cannot keep reports, trying again');
        writeSoon();
      });
    }, everyMs);
  };

  return {
    add(report) {
      const key = JSON.stringify([report.kind, report.spiffeId, report.instance]);
      if (!waiting.has(key) && waiting.size >= mostReports) return;
      waiting.set(key, report);
      writeSoon();
    },
    flush,
    async close() {
      clearTimeout(timer);
      await flush().catch((error: unknown) => log.warn({ err: error }, 'reports lost with the end of the server'));
    },
  };
}
