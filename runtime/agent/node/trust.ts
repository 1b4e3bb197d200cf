// What the agent trusts its server by: the bundle of its trust domain, first from where the configuration says, then from the server itself.
import { emptyBundle } from '../../spiffe/bundle.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { serverId } from '../../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import { PkiError } from '../../pki/errors.ts';
import type { PkiErrorCode } from '../../pki/errors.ts';
import { serverVerifier } from '../../rpc/verify-peer.ts';

export interface Trust {
  bundle(): TrustBundle;
  update(bundle: TrustBundle): void;
  /** By these X.509 authorities (DER) alone; none only with insecureBootstrap. */
  begin(x509Authorities: readonly Uint8Array[]): void;
  /** Throws unless the chain is our server's. */
  verifyServer(chain: Uint8Array[]): SpiffeId;
  /** Whether, since it was last asked, a server hung on none of our authorities and none that came after it did. */
  takeDisagreement(): boolean;
}

export interface TrustOptions {
  readonly trustDomain: TrustDomain;
  /** DER; empty where they are still to come. */
  readonly x509Authorities: readonly Uint8Array[];
  /** Until the first bundle has come, a server that merely says that it is ours is believed. */
  readonly insecureBootstrap: boolean;
  readonly clock: () => number;
  readonly onInsecure: () => void;
}

export function createTrust(options: TrustOptions): Trust {
  const { trustDomain, x509Authorities, insecureBootstrap, clock, onInsecure } = options;
  const expectedId = serverId(trustDomain);
  const bundleOf = (authorities: readonly Uint8Array[]): TrustBundle => ({
    ...emptyBundle(trustDomain),
    x509Authorities: authorities.map((asn1) => ({ asn1 })),
  });
  let bundle = bundleOf(x509Authorities);
  let disagreed = false;
  const verify = serverVerifier({ expectedId, clock, roots: () => bundle.x509Authorities.map(({ asn1 }) => asn1) });

  return {
    bundle: () => bundle,
    update(latest) {
      if (!latest.trustDomain.equals(trustDomain))
        throw new Error(`server sent the bundle of ${latest.trustDomain.name}, want ${trustDomain.name}`);
      if (latest.x509Authorities.length === 0) throw new Error('server sent a bundle without X.509 authorities');
      bundle = latest;
    },
    begin(authorities) {
      bundle = bundleOf(authorities);
    },
    verifyServer(chain) {
      if (insecureBootstrap && bundle.x509Authorities.length === 0) {
        onInsecure();
        return claimedServerId(chain, expectedId);
      }
      try {
        const id = verify(chain);
        disagreed = false;
        return id;
      } catch (error) {
        if (error instanceof PkiError && isOfAnotherAuthority.has(error.code)) disagreed = true;
        throw error;
      }
    },
    takeDisagreement() {
      const was = disagreed;
      disagreed = false;
      return was;
    },
  };
}

/** A new root often has the name of the old one. */
const isOfAnotherAuthority: ReadonlySet<PkiErrorCode> = new Set(['UNKNOWN_AUTHORITY', 'SIGNATURE']);

/** No proof of anything: it only tells a wrong address from the right one. */
function claimedServerId(chain: readonly Uint8Array[], expectedId: SpiffeId): SpiffeId {
  const [leaf] = chain;
  const uris = leaf === undefined ? [] : parseCertificate(leaf).uris;
  if (uris.length === 1 && uris[0] === expectedId.toString()) return expectedId;
  throw new Error(`server claims to be ${JSON.stringify(uris)}, want ${expectedId.toString()}`);
}
