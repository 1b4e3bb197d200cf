// What the parts of the CA have in common.
import type { Logger } from '../../log.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { KeyManager } from '../keys/key-manager.ts';
import type { Store } from '../store/store.ts';
import type { UpstreamAuthority } from '../upstream/upstream-authority.ts';
import type { AuthorityConfig } from './authority.ts';

export interface AuthorityContext {
  readonly trustDomain: TrustDomain;
  readonly store: Store;
  readonly keys: KeyManager;
  /** Without one, the CA signs itself. */
  readonly upstream?: UpstreamAuthority | undefined;
  readonly config: AuthorityConfig;
  readonly log: Logger;
  readonly clock: () => number;
  /** Ends waits for the upstream. */
  readonly signal: AbortSignal;
}
