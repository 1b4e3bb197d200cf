// A workload's X.509 identity, always the latest that the agent gave. What it holds stays in use while the agent is away.
import type { RpcLog } from '../rpc/call-context.ts';
import type { TrustBundle } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { WorkloadError } from './errors.ts';
import { keepLatest } from './latest.ts';
import type { WorkloadApi } from './workload-api.ts';
import type { X509Svid } from './x509-context.ts';

export interface X509Source {
  /** The default SVID. */
  svid(): X509Svid;
  svids(): readonly X509Svid[];
  /** Throws where the workload may not know that trust domain. */
  bundle(trustDomain: TrustDomain): TrustBundle;
  /** Called after each change; the function that it returns ends that. */
  onUpdate(listener: () => void): () => void;
  close(): void;
}

export interface X509SourceOptions {
  readonly api: Pick<WorkloadApi, 'fetchX509Svid'>;
  readonly log?: RpcLog;
  /** Closes the source, also while it waits for its first SVID. */
  readonly signal?: AbortSignal;
}

/** Resolves when the first SVID is there, however long that takes. */
export async function createX509Source({ api, log, signal }: X509SourceOptions): Promise<X509Source> {
  const latest = await keepLatest({
    name: 'X.509 source',
    first: 'SVID',
    open: (ended) => api.fetchX509Svid({ signal: ended }),
    log,
    signal,
  });
  return {
    svid: () => latest.value().svids[0],
    svids: () => latest.value().svids,
    bundle(trustDomain) {
      const bundle = latest.value().bundles.get(trustDomain.name);
      if (bundle !== undefined) return bundle;
      throw new WorkloadError('NO_BUNDLE', `no bundle of trust domain ${trustDomain.name}`);
    },
    onUpdate: latest.onUpdate,
    close: latest.close,
  };
}
