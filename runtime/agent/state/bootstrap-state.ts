// How far the agent is in coming to trust its server, as SPIRE's agent writes it into its file: `bootstrap_use`, `bootstrap_start_time` and
// `connection_attempts`.

export interface BootstrapState {
  /** Whether it has trusted one before. */
  readonly mode: 'bootstrap' | 'rebootstrap';
  /** Epoch ms; undefined while server and agent agree. */
  readonly startedAt: number | undefined;
  readonly attempts: number;
}

const uses = ['unspecified', 'bootstrap', 'rebootstrap'] as const;
/** Go's time of nothing. */
const never = '0001-01-01T00:00:00Z';

/** Undefined where the file says nothing of it. */
export function readBootstrapState(data: Readonly<Record<string, unknown>>): BootstrapState | undefined {
  const { bootstrap_use: use = 0, bootstrap_start_time: start = never, connection_attempts: attempts = 0 } = data;
  const mode = typeof use === 'number' ? uses[use] : undefined;
  if (mode === undefined) throw new Error('bootstrap_use is neither 0, 1 nor 2');
  if (typeof start !== 'string' || Number.isNaN(Date.parse(start))) throw new Error('bootstrap_start_time is no time');
  if (typeof attempts !== 'number') throw new Error('connection_attempts is no number');
  if (mode === 'unspecified') return undefined;
  return { mode, startedAt: start === never ? undefined : Date.parse(start), attempts };
}

export function encodeBootstrapState({ mode, startedAt, attempts }: BootstrapState): Record<string, unknown> {
  return {
    bootstrap_use: uses.indexOf(mode),
    bootstrap_start_time: startedAt === undefined ? never : new Date(startedAt).toISOString(),
    connection_attempts: attempts,
  };
}
