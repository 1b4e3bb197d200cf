// What the agent trusts its server by: the bundle of its trust domain, first from where the configuration says, then from the server itself.
import { emptyBundle } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { serverId } from '../../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import { serverVerifier } from '../../rpc/verify-peer.ts';

export interface Trust {
  bundle(): TrustBundle;
  update(bundle: TrustBundle): void;
  /** Throws unless the chain is our server's. */
  verifyServer(chain: Uint8Array[]): SpiffeId;
}

export interface TrustOptions {
  readonly trustDomain: TrustDomain;
  /** DER; empty only with insecureBootstrap. */
  readonly x509Authorities: readonly Uint8Array[];
  /** Until the first bundle has come, a server that merely says that it is ours is believed. */
  readonly insecureBootstrap: boolean;
  readonly clock: () => number;
  readonly onInsecure: () => void;
}

export function createTrust(options: TrustOptions): Trust {
  const { trustDomain, x509Authorities, insecureBootstrap, clock, onInsecure } = options;
  const expectedId = serverId(trustDomain);
  let bundle: TrustBundle = { ...emptyBundle(trustDomain), x509Authorities: x509Authorities.map((asn1) => ({ asn1 })) };
  const verify = serverVerifier({ expectedId, clock, roots: () => bundle.x509Authorities.map(({ asn1 }) => asn1) });

  return {
    bundle: () => bundle,
    update(latest) {
      if (!latest.trustDomain.equals(trustDomain))
        throw new Error(`server sent the bundle of ${latest.trustDomain.name}, want ${trustDomain.name}`);
      if (latest.x509Authorities.length === 0) throw new Error('server sent a bundle without X.509 authorities');
      bundle = latest;
    },
    verifyServer(chain) {
      if (!insecureBootstrap || bundle.x509Authorities.length > 0) return verify(chain);
      onInsecure();
      return claimedServerId(chain, expectedId);
    },
  };
}

/** No proof of anything: it only tells a wrong address from the right one. */
function claimedServerId(chain: readonly Uint8Array[], expectedId: SpiffeId): SpiffeId {
  const [leaf] = chain;
  const uris = leaf === undefined ? [] : parseCertificate(leaf).uris;
  if (uris.length === 1 && uris[0] === expectedId.toString()) return expectedId;
  throw new Error(`server claims to be ${JSON.stringify(uris)}, want ${expectedId.toString()}`);
}
