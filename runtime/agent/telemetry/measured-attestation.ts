// The attestation of workloads, counted: as a whole, by attestor, and how many selectors it found.
import type { WorkloadAttestor } from '../../attest/workload/attestor.ts';
import { createCallCounter } from '../../telemetry/call-counter.ts';
import type { Selector } from '../../spiffe/selector.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { Callers } from '../workload-api/caller.ts';
import type { RateLimiter } from '../workload-api/rate-limit.ts';

export function measureAttestor(attestor: WorkloadAttestor, metrics: Metrics): WorkloadAttestor {
  const calls = createCallCounter(metrics, ['workload_api', 'workload_attestor'], { attestor: attestor.type });
  return { type: attestor.type, attest: (pid, signal) => calls.measure(() => attestor.attest(pid, signal)) };
}

export function measureCallers(callers: Callers, metrics: Metrics): Callers {
  const calls = createCallCounter(metrics, ['workload_api', 'workload_attestation']);
  const discovered = metrics.sample(['workload_api', 'discovered_selectors']);
  const measure = async (attest: () => Promise<Selector[]>): Promise<Selector[]> => {
    const selectors = await calls.measure(attest);
    discovered.observe(selectors.length);
    return selectors;
  };
  return {
    attest: (context) => measure(() => callers.attest(context)),
    attestProcess: (pid) => measure(() => callers.attestProcess(pid)),
  };
}

export function measureRateLimiter(limiter: RateLimiter, metrics: Metrics): RateLimiter {
  return {
    check(context, selectors) {
      try {
        limiter.check(context, selectors);
      } catch (error) {
        metrics.counter(['workload_api', 'rate_limit_exceeded'], { method: context.method }).add();
        throw error;
      }
    },
  };
}
