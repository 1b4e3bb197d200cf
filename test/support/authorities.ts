// A certificate authority on a test store, with a clock that moves when told and looks at it often.
import { generateKeyPairSync } from '../../runtime/pki/key-type.ts';
import type { AuthorityConfig, CertificateAuthority } from '../../runtime/server/ca/authority.ts';
import { createAuthority } from '../../runtime/server/ca/create-authority.ts';
import type { FaultHook } from '../../runtime/server/ca/fault-points.ts';
import type { Logger } from '../../runtime/log.ts';
import type { KeyManager } from '../../runtime/server/keys/key-manager.ts';
import { createMemoryKeyManager } from '../../runtime/server/keys/memory.ts';
import type { Store } from '../../runtime/server/store/store.ts';
import type { UpstreamAuthority } from '../../runtime/server/upstream/upstream-authority.ts';
import { parseSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { silentLog } from './stores.ts';

export const hourMs = 3_600_000;
export const trustDomain = parseTrustDomain('example.org');
/** Asks for CAs. */
export const downstreamId = parseSpiffeId('spiffe://example.org/downstream');

export const authorityConfig: AuthorityConfig = {
  caTtl: 24 * hourMs,
  caKeyType: 'ec-p256',
  jwtKeyType: 'ec-p256',
  x509SvidTtl: hourMs,
  jwtSvidTtl: 300_000,
};

export interface TestAuthorityOptions {
  readonly store: Store;
  readonly keys?: KeyManager;
  readonly config?: Partial<AuthorityConfig>;
  readonly clock?: () => number;
  readonly upstream?: UpstreamAuthority;
  readonly upstreamPatienceMs?: number;
  readonly patienceMs?: number;
  readonly tickMs?: number;
  readonly faultPoint?: FaultHook;
  readonly log?: Logger;
}

export function createTestAuthority({
  store,
  keys,
  config,
  clock = Date.now,
  ...rest
}: TestAuthorityOptions): Promise<CertificateAuthority> {
  return createAuthority({
    trustDomain,
    store,
    keys: keys ?? createMemoryKeyManager(),
    config: { ...authorityConfig, ...config },
    log: silentLog,
    clock,
    tickMs: 10,
    ...rest,
  });
}

export interface MovableClock {
  (): number;
  advance(ms: number): void;
}

/** Starts at the real time: certificates are also checked by programs that know no other. */
export function createMovableClock(start = Date.now()): MovableClock {
  let now = start;
  return Object.assign(() => now, { advance: (ms: number) => void (now += ms) });
}

export const workloadKey = generateKeyPairSync('ec-p256');
