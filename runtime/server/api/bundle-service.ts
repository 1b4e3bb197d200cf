// spire.api.server.bundle.v1.Bundle: our own trust domain's bundle. Bundles of others are federated-bundle-service.ts.
import type { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type { Logger } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument, notFound, unimplemented } from '../../rpc/status.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { BundleStore } from '../store/store.ts';
import type { RateLimiter } from './rate-limit.ts';
import { attempt, checkArgument } from './refusal.ts';
import { encodeBundle, encodeJwtAuthority, parseJwtAuthorities, parseX509Authorities } from './wire/bundle.ts';

export interface BundleServiceOptions {
  readonly trustDomain: TrustDomain;
  readonly bundles: BundleStore;
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'refreshBundle' | 'publishJwtAuthority'>;
  readonly limiter: RateLimiter;
  readonly log: Logger;
}

export type OwnBundleMethods = Pick<
  Handlers<typeof BundleService>,
  'countBundles' | 'getBundle' | 'appendBundle' | 'publishJwtAuthority' | 'publishWitAuthority'
>;

export function createBundleService({
  trustDomain,
  bundles,
  authority,
  limiter,
  log,
}: BundleServiceOptions): OwnBundleMethods {
  return {
    async countBundles() {
      return { count: await attempt('failed to count bundles', () => bundles.countBundles()) };
    },

    async getBundle({ outputMask }) {
      // As this server knows it: everybody may ask, and nobody's asking costs the database anything.
      const bundle = authority.bundle();
      if (bundle.x509Authorities.length === 0) throw notFound('bundle not found');
      return encodeBundle(bundle, outputMask);
    },

    async appendBundle({ x509Authorities, jwtAuthorities, outputMask }) {
      if (x509Authorities.length === 0 && jwtAuthorities.length === 0)
        throw invalidArgument('no authorities to append');
      const added = {
        trustDomain,
        jwtAuthorities: checkArgument('failed to convert JWT authority', () => parseJwtAuthorities(jwtAuthorities)),
        x509Authorities: checkArgument('failed to convert X.509 authority', () =>
          parseX509Authorities(x509Authorities),
        ),
        refreshHintSeconds: 0,
        sequenceNumber: 0,
      };
      const bundle = await attempt('failed to append bundle', async () => {
        const appended = await bundles.appendBundle(added);
        await authority.refreshBundle();
        return appended;
      });
      log.info({ sequence_number: bundle.sequenceNumber }, 'Bundle appended');
      return encodeBundle(bundle, outputMask);
    },

    async publishJwtAuthority({ jwtAuthority }, context) {
      await limiter.admit(context, 1, 'rejecting request due to key publishing rate limiting');
      if (jwtAuthority === undefined) throw invalidArgument('missing JWT authority');
      const [parsed] = checkArgument('invalid JWT authority', () => parseJwtAuthorities([jwtAuthority]));
      if (parsed === undefined) throw invalidArgument('missing JWT authority');
      const published = await attempt('failed to publish JWT key', () => authority.publishJwtAuthority(parsed));
      return { jwtAuthorities: published.map(encodeJwtAuthority) };
    },

    async publishWitAuthority() {
      throw unimplemented('WIT-SVID functionality is not yet implemented');
    },
  };
}
