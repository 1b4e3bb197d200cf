// A workload's side of JWT-SVIDs: tokens for others from the agent, tokens of others verified here, by bundles that are always the latest.
import type { RpcLog } from '../rpc/call-context.ts';
import { unverifiedJwtSubject, verifyJwtSvid } from '../pki/jwt-svid.ts';
import type { VerifiedJwtSvid } from '../pki/jwt-svid.ts';
import type { TrustBundle } from '../spiffe/bundle.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { WorkloadError } from './errors.ts';
import { keepLatest } from './latest.ts';
import type { CallLimits, JwtSvid, JwtSvidRequest, WorkloadApi } from './workload-api.ts';

export interface JwtSource {
  /** Asked of the agent each time: it keeps tokens until half of their life is over. */
  readonly fetch: (request: JwtSvidRequest, limits?: CallLimits) => Promise<readonly [JwtSvid, ...JwtSvid[]]>;
  /** Throws where the token does not hold, is for another audience, or is of a trust domain that the workload may not know. No call is made. */
  validate(request: { readonly token: string; readonly audience: string }): VerifiedJwtSvid;
  /** Throws where the workload may not know that trust domain. */
  bundle(trustDomain: TrustDomain): TrustBundle;
  /** Called after each change of a bundle; the function that it returns ends that. */
  readonly onUpdate: (listener: () => void) => () => void;
  readonly close: () => void;
}

export interface JwtSourceOptions {
  readonly api: Pick<WorkloadApi, 'fetchJwtSvid' | 'fetchJwtBundles'>;
  readonly log?: RpcLog;
  readonly clock?: () => number;
  /** Closes the source, also while it waits for its first bundles. */
  readonly signal?: AbortSignal;
}

/** Resolves when the first bundles are there, however long that takes. */
export async function createJwtSource(options: JwtSourceOptions): Promise<JwtSource> {
  const { api, log, clock = Date.now, signal } = options;
  const latest = await keepLatest({
    name: 'JWT source',
    first: 'bundles',
    open: (ended) => api.fetchJwtBundles({ signal: ended }),
    log,
    signal,
  });
  const bundle = (trustDomain: TrustDomain): TrustBundle => {
    const found = latest.value().get(trustDomain.name);
    if (found !== undefined) return found;
    throw new WorkloadError('NO_BUNDLE', `no JWT bundle of trust domain ${trustDomain.name}`);
  };
  return {
    async fetch(request, limits) {
      const [first, ...others] = await api.fetchJwtSvid(request, limits);
      if (first !== undefined) return [first, ...others];
      throw new WorkloadError('NO_SVID', `no JWT-SVID for the audience ${request.audience.join(', ')}`);
    },
    validate({ token, audience }) {
      const { trustDomain } = unverifiedJwtSubject(token);
      return verifyJwtSvid({ token, bundle: bundle(trustDomain), audience: [audience], now: clock() });
    },
    bundle,
    onUpdate: latest.onUpdate,
    close: latest.close,
  };
}
