// Asks the parts of the server how they are. Live: not worth a restart. Ready: able to serve. Both answers name the part that is at fault.

export interface HealthCheck {
  readonly name: string;
  /** Throws where the part cannot do its work now. */
  readonly check: () => Promise<void>;
}

export interface Health {
  readonly live: boolean;
  readonly ready: boolean;
  /** For each part, nothing or what ails it. */
  readonly details: Readonly<Record<string, { readonly message: string } | null>>;
}

export interface HealthChecker {
  check(): Promise<Health>;
}

const checkTimeoutMs = 5_000;
/** Probes come from several sides at once; they share one answer. */
const cacheMs = 500;

/** Not ready until every part passes; live always, since none of our parts is mended by a restart that its own retries do not mend. */
export function createHealthChecker(checks: readonly HealthCheck[], clock: () => number): HealthChecker {
  let latest: { at: number; health: Promise<Health> } | undefined;
  return {
    check() {
      const now = clock();
      // The difference counts either way: a clock that is set back must not keep an old answer alive.
      if (latest === undefined || Math.abs(now - latest.at) >= cacheMs) latest = { at: now, health: checkAll(checks) };
      return latest.health;
    },
  };
}

async function checkAll(checks: readonly HealthCheck[]): Promise<Health> {
  const faults = await Promise.all(checks.map(async ({ name, check }) => [name, await faultOf(check)] as const));
  return {
    live: true,
    ready: faults.every(([, message]) => message === undefined),
    details: Object.fromEntries(faults.map(([name, message]) => [name, message === undefined ? null : { message }])),
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
