// Counts calls and how long they took, by their status: what SPIRE's telemetry calls a call counter, a counter and a sample `…_elapsed_time`.
import { goStatusName, RpcError, statusCode } from '../rpc/status.ts';
import type { Counter, Key, Labels, Metrics, Sample } from './registry.ts';

export interface CallCounter {
  /** Began at `startedAt` by the metrics' `now`, ends now, with a gRPC status. */
  done(startedAt: number, code: number): void;
  measure<T>(act: () => Promise<T>): Promise<T>;
}

/** The status that stands for an error. */
export type CodeOf = (error: unknown) => number;

export function createCallCounter(metrics: Metrics, key: Key, labels: Labels = {}, codeOf = rpcCodeOf): CallCounter {
  const byCode = new Map<number, readonly [Counter, Sample]>();
  const seriesOf = (code: number): readonly [Counter, Sample] => {
    const known = byCode.get(code);
    if (known !== undefined) return known;
    const withStatus = { ...labels, status: goStatusName(code) };
    const series = [metrics.counter(key, withStatus), metrics.sample([...key, 'elapsed_time'], withStatus)] as const;
    byCode.set(code, series);
    return series;
  };
  const done = (startedAt: number, code: number): void => {
    const [calls, elapsed] = seriesOf(code);
    calls.add();
    elapsed.observe(metrics.now() - startedAt);
  };

  return {
    done,
    async measure(act) {
      const startedAt = metrics.now();
      try {
        const result = await act();
        done(startedAt, statusCode.OK);
        return result;
      } catch (error) {
        done(startedAt, codeOf(error));
        throw error;
      }
    },
  };
}

export function rpcCodeOf(error: unknown): number {
  if (error instanceof RpcError) return error.code;
  return error instanceof Error && error.name === 'AbortError' ? statusCode.CANCELLED : statusCode.UNKNOWN;
}
