// Asks the parts of the server how they are. Live: not worth a restart. Ready: able to serve. Both answers name the part that is at fault, as SPIRE's do.
import type { Logger } from '../../log.ts';

export interface HealthCheck {
  readonly name: string;
  /** What the answer calls its fault. */
  readonly fault: string;
  /** Throws where the part cannot do its work now. */
  readonly check: () => Promise<void>;
}

export interface Health {
  readonly live: boolean;
  readonly ready: boolean;
  /** For each part, nothing or what ails it by the name of the fault. */
  readonly details: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

export interface HealthChecker {
  check(): Promise<Health>;
}

const checkTimeoutMs = 5_000;
/** Probes come from several sides at once; they share one answer. */
const cacheMs = 500;

/** Not ready until every part passes; live always, since none of our parts is mended by a restart that its own retries do not mend. */
export function createHealthChecker(
  checks: readonly HealthCheck[],
  { clock, log }: { readonly clock: () => number; readonly log: Logger },
): HealthChecker {
  let latest: { at: number; health: Promise<Health> } | undefined;
  const tell = createTeller(clock, log);
  return {
    check() {
      const now = clock();
      // The difference counts either way: a clock that is set back must not keep an old answer alive.
      if (latest === undefined || Math.abs(now - latest.at) >= cacheMs)
        latest = { at: now, health: checkAll(checks, tell) };
      return latest.health;
    },
  };
}

async function checkAll(checks: readonly HealthCheck[], tell: Teller): Promise<Health> {
  const faults = await Promise.all(checks.map(async (check) => ({ ...check, message: await faultOf(check.check) })));
  const details = faults.map(({ name, fault, message }) => [name, message === undefined ? {} : { [fault]: message }]);
  tell(faults);
  return {
    live: true,
    ready: faults.every(({ message }) => message === undefined),
    details: Object.fromEntries(details) as Health['details'],
  };
}

type Teller = (faults: readonly { readonly name: string; readonly message: string | undefined }[]) => void;

/** Says when a part begins to fail and when it has recovered; nothing before all have passed once, for parts come up one by one. */
function createTeller(clock: () => number, log: Logger): Teller {
  const failing = new Map<string, { since: number; failures: number; error: string }>();
  let started = false;
  return (faults) => {
    started ||= faults.every(({ message }) => message === undefined);
    if (!started) return;
    for (const { name: check, message: error } of faults) {
      const before = failing.get(check);
      if (error !== undefined) {
        if (before === undefined) log.warn({ check, error }, 'Health check failed');
        failing.set(check, { since: before?.since ?? clock(), failures: (before?.failures ?? 0) + 1, error });
      }
      if (error === undefined && before !== undefined) {
        failing.delete(check);
        const duration = (clock() - before.since) / 1000;
        log.info({ check, error: before.error, failures: before.failures, duration }, 'Health check recovered');
      }
    }
  };
}

/** What is wrong, in words; a check that hangs is wrong too. */
async function faultOf(check: () => Promise<void>): Promise<string | undefined> {
  const timeout = AbortSignal.timeout(checkTimeoutMs);
  const late = new Promise<string>((resolve) => {
    timeout.addEventListener('abort', () => resolve(`no answer within ${checkTimeoutMs} ms`), { once: true });
  });
  const answer = check().then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : String(error)),
  );
  return Promise.race([answer, late]);
}
