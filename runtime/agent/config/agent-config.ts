// What an agent is told to do, checked: nothing behind this file looks at configuration text again.
import type { KeyType } from '../../pki/key-type.ts';
import type { HclObject } from '../../hcl/value.ts';
import type { LogFormat, LogLevel } from '../../log.ts';
import type { Shares } from '../../rpc/shares.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { TelemetryConfig } from '../../telemetry/config.ts';
import type { BundleSource } from '../node/bootstrap-bundle.ts';
import type { RebootstrapMode } from '../node/bootstrapping.ts';
import type { ServerAddress } from '../node/server-link.ts';
import type { SdsConfig } from '../sds/resources.ts';
import type { RateLimits } from '../workload-api/rate-limit.ts';

export interface PluginConfig {
  readonly name: string;
  readonly data: HclObject;
}

export type KeyStoreConfig = { readonly kind: 'memory' } | { readonly kind: 'disk'; readonly directory: string };

export interface HealthConfig {
  readonly host: string;
  readonly port: number;
  readonly livePath: string;
  readonly readyPath: string;
}

export interface AgentConfig {
  readonly trustDomain: TrustDomain;
  readonly server: ServerAddress;
  readonly dataDir: string;
  /** Absent: neither the Workload API nor Envoy's SDS is served. */
  readonly socketPath: string | undefined;
  readonly disableWorkloadApi: boolean;
  /** Absent: there is none. */
  readonly adminSocketPath: string | undefined;
  /** SPIFFE IDs of workloads that may ask for others' identities. */
  readonly authorizedDelegates: ReadonlySet<string>;
  /** Absent: disabled. */
  readonly sds: SdsConfig | undefined;
  readonly rateLimits: RateLimits;
  /** Of the socket for workloads, for one process and one user. */
  readonly shares: Shares;
  readonly bundleSource: BundleSource;
  /** Whether, and after how long, trust is begun anew where the server hangs on none of the agent's authorities any more. */
  readonly rebootstrap: { readonly mode: RebootstrapMode; readonly delayMs: number };
  readonly joinToken: string | undefined;
  readonly log: {
    readonly level: LogLevel;
    readonly format: LogFormat;
    readonly file: string | undefined;
    readonly sourceLocation: boolean;
  };
  /** Prefixes of selectors that may be logged where a workload gets nothing. */
  readonly logSelectors: readonly string[];
  /** Absent with a join token. */
  readonly nodeAttestor: PluginConfig | undefined;
  readonly keyStore: KeyStoreConfig;
  readonly workloadAttestors: readonly PluginConfig[];
  readonly syncIntervalMs: number;
  readonly useSyncAuthorizedEntries: boolean;
  readonly x509SvidCacheMaxSize: number;
  readonly jwtSvidCacheMaxSize: number;
  /** How long the server is waited for where a JWT-SVID is there that still holds. */
  readonly jwtSvidCacheHitTimeoutMs: number;
  readonly workloadKeyType: KeyType;
  readonly availabilityTargetMs: number;
  readonly allowUnauthenticatedVerifiers: boolean;
  readonly allowedForeignJwtClaims: ReadonlySet<string>;
  /** Absent: no listener. */
  readonly health: HealthConfig | undefined;
  /** Keys that SPIRE has, that are set, and that change nothing here: to be said at the start. */
  readonly ignored: readonly string[];
  readonly telemetry: TelemetryConfig;
}
