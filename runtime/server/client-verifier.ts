// Whom the server shakes hands with: members of its own trust domain, and those of others that `admin_ids` names, each by the bundle of its own
// trust domain. What a client may do is decided call by call.
import type { Logger } from '../log.ts';
import { parseCertificate } from '../pki/certificate.ts';
import { refuse } from '../pki/errors.ts';
import { leafId } from '../pki/x509-svid.ts';
import type { Roots } from '../rpc/verify-peer.ts';
import { clientVerifier } from '../rpc/verify-peer.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { createLiveBundle } from './ca/live-bundle.ts';
import type { Store } from './store/store.ts';

export interface ClientVerifierOptions {
  readonly trustDomain: TrustDomain;
  readonly roots: Roots;
  readonly adminIds: readonly SpiffeId[];
  readonly store: Store;
  readonly log: Logger;
  readonly clock: () => number;
}

export interface ServersClientVerifier {
  readonly verify: (chain: Uint8Array[]) => SpiffeId;
  close(): void;
}

export async function createClientVerifier(options: ClientVerifierOptions): Promise<ServersClientVerifier> {
  const { trustDomain, roots, adminIds, store, log, clock } = options;
  const verifyMember = clientVerifier({ roots, trustDomain, clock });
  const foreignAdmins = adminIds.filter((id) => !id.trustDomain.equals(trustDomain));
  const bundles = [...new Map(foreignAdmins.map((id) => [id.trustDomain.name, id.trustDomain])).values()].map(
    (foreign) => ({ foreign, live: createLiveBundle(store, foreign, log) }),
  );
  const verifiers = new Map(
    bundles.map(({ foreign, live }) => {
      const foreignRoots = () => live.current().x509Authorities.map(({ asn1 }) => asn1);
      return [foreign.name, clientVerifier({ roots: foreignRoots, trustDomain: foreign, clock })];
    }),
  );
  const admins = new Set(foreignAdmins.map(String));
  const close = () => bundles.forEach(({ live }) => live.close());
  try {
    await Promise.all(bundles.map(({ live }) => live.refresh()));
  } catch (error) {
    close();
    throw error;
  }

  return {
    verify(chain) {
      const [leaf] = chain;
      const id = leaf === undefined ? undefined : leafId(parseCertificate(leaf));
      if (id === undefined || id.trustDomain.equals(trustDomain)) return verifyMember(chain);
      const verify = verifiers.get(id.trustDomain.name);
      if (verify === undefined || !admins.has(String(id)))
        throw refuse('TRUST_DOMAIN', `${String(id)} is not of trust domain ${trustDomain.name}`);
      return verify(chain);
    },
    close,
  };
}
