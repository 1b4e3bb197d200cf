// How the agent comes to trust its server: at first contact by the bundle that the configuration names, and again by it where the server no longer
// hangs on what the agent has trusted since, if the configuration allows that. What disagreement means is decided here; who has it acts on it.
import type { Logger } from '../../log.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import { AgentStopped } from '../refusal.ts';
import type { AgentData } from '../state/agent-data.ts';
import type { BootstrapState } from '../state/bootstrap-state.ts';
import { toSeconds } from './bootstrap-bundle.ts';
import type { BootstrapAttempt } from './bootstrap-bundle.ts';
import type { Trust } from './trust.ts';

export const rebootstrapModes = ['never', 'auto', 'always'] as const;
export type RebootstrapMode = (typeof rebootstrapModes)[number];

export interface BootstrappingOptions {
  readonly data: AgentData;
  readonly trust: Trust;
  readonly mode: RebootstrapMode;
  /** How long server and agent must have disagreed. */
  readonly delayMs: number;
  /** From the place that the configuration names: DER. */
  readonly loadBundle: (attempt: BootstrapAttempt) => Promise<readonly Uint8Array[]>;
  readonly clock: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface Bootstrapping {
  /** Whether trust may be begun anew; not where the node could not attest again. */
  isAllowed(): boolean;
  /** Throws an AgentStopped where it is wanted always and the node cannot attest again. */
  checkReattestable(): void;
  /** Before a contact: where nothing is trusted yet, by what the configuration names. */
  prepare(): Promise<void>;
  /** The server hung on what is trusted. */
  succeeded(): Promise<void>;
  /** After a failed contact while the agent has no identity: the next one may go by another bundle. */
  failedAtStart(): Promise<void>;
  /** After a failed contact of an agent that has one: throws an AgentStopped where it has to begin anew. */
  failed(): Promise<void>;
}

const unsupported =
  'you have requested rebootstrap support but the NodeAttestor plugin or the spire server configuration is not allowing it';

export function createBootstrapping(options: BootstrappingOptions): Bootstrapping {
  const { data, trust, delayMs, loadBundle, clock, log, metrics } = options;
  let { mode } = options;
  const showState = createGauges(metrics);
  showState(data.bootstrap());

  const update = async (change: Partial<BootstrapState>): Promise<BootstrapState> => {
    const state = { ...data.bootstrap(), ...change };
    await data.storeBootstrap(state);
    showState(state);
    return state;
  };

  /** Whether they have disagreed for long enough. */
  const isTimeOver = async (): Promise<boolean> => {
    const { startedAt = clock() } = data.bootstrap();
    if (data.bootstrap().startedAt === undefined) await update({ startedAt });
    const left = delayMs - (clock() - startedAt);
    if (left <= 0) return true;
    log.info({ time_left: `${left}ms` }, "Trust Bundle and Server don't agree, ignoring for now");
    return false;
  };

  return {
    isAllowed: () => mode !== 'never',
    checkReattestable() {
      if (mode === 'never' || data.svid()?.reattestable !== false) return;
      if (mode === 'always') throw new AgentStopped('NOT_REATTESTABLE', unsupported);
      log.warn(`${unsupported}. Disabling`);
      mode = 'never';
    },
    async prepare() {
      if (data.x509Authorities().length > 0) return;
      const before = data.bootstrap();
      const startedAt = before.startedAt ?? clock();
      const { attempts } = await update({ startedAt, attempts: before.attempts + 1 });
      const attestation = before.mode === 'rebootstrap' ? 'reattestation' : 'attestation';
      log.info(`Server ${attestation} attempt ${attempts}. Started ${toSeconds(startedAt)}.`);
      trust.begin(await loadBundle({ mode: before.mode, number: attempts, startedAt }));
    },
    async succeeded() {
      const { mode: was, startedAt, attempts } = data.bootstrap();
      if (was === 'rebootstrap' && startedAt === undefined) return;
      if (startedAt !== undefined) log.info(`Success after ${clock() - startedAt}ms attempts=${attempts}`);
      await update({ mode: 'rebootstrap', startedAt: undefined, attempts: 0 });
    },
    async failedAtStart() {
      if (!trust.takeDisagreement()) return;
      if (data.bootstrap().mode === 'bootstrap') {
        log.info("Trust Bundle and Server don't agree, bootstrapping again");
        return;
      }
      if (mode === 'never' || !(await isTimeOver())) return;
      log.warn("Trust Bundle and Server don't agree, rebootstrapping");
      await data.storeX509Authorities([]);
    },
    async failed() {
      if (!trust.takeDisagreement() || mode === 'never' || !(await isTimeOver())) return;
      log.warn("Trust Bundle and Server don't agree, rebootstrapping");
      await data.forgetTrust({ mode: 'rebootstrap', startedAt: clock(), attempts: 0 });
      throw new AgentStopped('REBOOTSTRAP', 'shutting down for rebootstrapping');
    },
  };
}

/** SPIRE's names. No time is 0, not Go's first year. */
function createGauges(metrics: Metrics): (state: BootstrapState) => void {
  return ({ mode, startedAt, attempts }) => {
    metrics.gauge(['bootstrapped']).set(startedAt === undefined ? 1 : 0);
    metrics.gauge(['bootstrap_seconds'], { mode }).set(Math.floor((startedAt ?? 0) / 1000));
    metrics.gauge(['bootstrap_attempts'], { mode }).set(attempts);
  };
}
