// What the parts of the CA have in common.
import type { Logger } from '../../log.ts';
import { emptyBundle } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { KeyManager } from '../keys/key-manager.ts';
import type { Store } from '../store/store.ts';
import type { UpstreamAuthority } from '../upstream/upstream-authority.ts';
import type { AuthorityConfig } from './authority.ts';
import type { FaultHook } from './fault-points.ts';
import type { Intend } from './intents.ts';
import type { LiveBundle } from './live-bundle.ts';

export interface AuthorityContext {
  readonly trustDomain: TrustDomain;
  readonly store: Store;
  readonly keys: KeyManager;
  /** Without one, the CA signs itself. */
  readonly upstream?: UpstreamAuthority | undefined;
  readonly config: AuthorityConfig;
  readonly log: Logger;
  readonly clock: () => number;
  readonly metrics: Metrics;
  /** Ends waits for the upstream. */
  readonly signal: AbortSignal;
  /** Our bundle as this server knows it. */
  readonly live: LiveBundle;
  readonly intend: Intend;
  /** For tests that end the process between two steps. */
  readonly faultPoint?: FaultHook | undefined;
}

/** Into the bundle, for all servers; this one knows it afterwards, and may sign with it. */
export async function publish(
  { store, live, trustDomain }: AuthorityContext,
  added: Partial<TrustBundle>,
): Promise<void> {
  await store.appendBundle({ ...emptyBundle(trustDomain), ...added });
  await live.refresh();
}
