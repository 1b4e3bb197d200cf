// The server's whole part in federation, put together: the endpoint that shows our bundle, and the refresher that fetches those of others.
import type { Logger } from '../../log.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { Metrics } from '../../telemetry/registry.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { BundleEndpointConfig, FederationConfig } from '../config/federation-section.ts';
import type { Store } from '../store/store.ts';
import { listenForBundles } from './bundle-endpoint.ts';
import type { BundleEndpoint } from './bundle-endpoint.ts';
import { startBundleRefresher } from './bundle-refresher.ts';
import type { BundleRefresher } from './bundle-refresher.ts';
import { createBundleFetcher } from './fetch-bundle.ts';
import { openServingCertificate } from './serving-certificate.ts';

export interface FederationOptions {
  readonly trustDomain: TrustDomain;
  readonly config: FederationConfig;
  readonly store: Store;
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'serverCredentials'>;
  readonly clock: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface Federation extends Pick<BundleRefresher, 'refresh'> {
  /** Where the bundle endpoint listens; absent where none is configured. */
  readonly bundleEndpoint?: BundleEndpoint['address'];
  close(): Promise<void>;
}

export async function startFederation(options: FederationOptions): Promise<Federation> {
  const { trustDomain, config, store, clock, log, metrics } = options;
  const endpoint = config.bundleEndpoint && (await openEndpoint(config.bundleEndpoint, options));
  const refresher = startBundleRefresher({
    trustDomain,
    store,
    configured: config.federatesWith,
    fetchBundle: createBundleFetcher({ clock }),
    log: log.child({ subsystem_name: 'bundle_client' }),
    metrics,
  });
  return {
    ...(endpoint === undefined ? {} : { bundleEndpoint: endpoint.address }),
    refresh: (other) => refresher.refresh(other),
    async close() {
      await Promise.all([endpoint?.close(), refresher.close()]);
    },
  };
}

async function openEndpoint(config: BundleEndpointConfig, { authority, log: parent }: FederationOptions) {
  const log = parent.child({ subsystem_name: 'bundle_endpoint' });
  const { host, port, refreshHintSeconds, profile } = config;
  const listen = (credentials: () => TlsCredentials) =>
    listenForBundles({ host, port, refreshHintSeconds, bundle: () => authority.bundle(), credentials, log });
  if (profile.kind === 'https_spiffe') return listen(() => authority.serverCredentials());
  const certificate = await openServingCertificate(profile.files, log);
  try {
    const endpoint = await listen(() => certificate.current());
    return {
      address: endpoint.address,
      close(): Promise<void> {
        certificate.close();
        return endpoint.close();
      },
    };
  } catch (error) {
    certificate.close();
    throw error;
  }
}
