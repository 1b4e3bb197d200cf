// How many holders do not have the bundle as it is, and how many have fallen silent, as metrics: counted now and then, as a count asks for every holder.
import { HolderKind } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Logger } from '../../log.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { Holdings } from './holdings.ts';

export interface MeasureHoldersOptions {
  readonly holdings: Pick<Holdings, 'count'>;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly intervalMs?: number;
}

const kinds = [
  [HolderKind.SERVER, 'server'],
  [HolderKind.AGENT, 'agent'],
  [HolderKind.DOWNSTREAM, 'downstream'],
] as const;

/** Returns the way to stop. */
export function startMeasuringHolders({
  holdings,
  metrics,
  log,
  intervalMs = 60_000,
}: MeasureHoldersOptions): () => void {
  const gauges = kinds.map(([kind, holder]) => ({
    kind,
    behind: metrics.gauge(['fleet', 'holders', 'behind'], { holder }),
    silent: metrics.gauge(['fleet', 'holders', 'silent'], { holder }),
  }));
  const measure = async (): Promise<void> => {
    const counted = await holdings.count('');
    for (const { kind, behind, silent } of gauges) {
      const found = counted.kinds.find((one) => one.kind === kind);
      behind.set(found?.behind ?? 0);
      silent.set(found?.silent ?? 0);
    }
  };
  const run = (): void => {
    // What was counted before stays shown: a database that is away is another alert's.
    measure().catch((error: unknown) => log.debug({ err: error }, 'Could not count the holders of the bundle'));
  };
  run();
  const timer = setInterval(run, intervalMs);
  timer.unref();
  return () => clearInterval(timer);
}
