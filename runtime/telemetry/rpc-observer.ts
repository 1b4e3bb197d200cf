// Counts the calls that a server answers, by method and status: `rpc_…` and `rpc_…_elapsed_time`.
import type { CallObserver } from '../rpc/call-context.ts';
import { createCallCounter } from './call-counter.ts';
import type { Metrics } from './registry.ts';
import { rpcKey } from './rpc-key.ts';

export function createRpcObserver(metrics: Metrics): (method: string) => CallObserver {
  return (method) => {
    const calls = createCallCounter(metrics, rpcKey(method));
    return { ended: ({ startedAt, code }) => calls.done(startedAt, code) };
  };
}
