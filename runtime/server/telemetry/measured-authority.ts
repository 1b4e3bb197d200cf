// What the CA signs, counted: under SPIRE's names, and as one number by the kind of SVID. And how long its active authority still lives.
import type { Metrics } from '../../telemetry/registry.ts';
import type { CertificateAuthority } from '../ca/authority.ts';

export interface MeasuredAuthorityOptions {
  readonly metrics: Metrics;
  readonly trustDomain: string;
  readonly clock: () => number;
}

export function measureAuthority(
  authority: CertificateAuthority,
  { metrics, trustDomain, clock }: MeasuredAuthorityOptions,
): CertificateAuthority {
  const expiration = metrics.gauge(['manager', 'x509_ca', 'rotate', 'expiration'], { trust_domain_id: trustDomain });
  const ttl = metrics.gauge(['manager', 'x509_ca', 'rotate', 'ttl'], { trust_domain_id: trustDomain });
  metrics.onRead(() => {
    const { expiresAt } = authority.x509Authority();
    expiration.set(Math.floor(expiresAt / 1000));
    ttl.set((expiresAt - clock()) / 1000);
  });

  const counting = (kind: 'x509_svid' | 'x509_ca_svid' | 'jwt_svid') => {
    const signed = metrics.counter(['server_ca', 'sign', kind]);
    const issued = metrics.counter(['svid', 'issued', 'count'], { svid_type: kind });
    return () => {
      signed.add();
      issued.add();
    };
  };
  const [x509, ca, jwt] = [counting('x509_svid'), counting('x509_ca_svid'), counting('jwt_svid')];
  return {
    ...authority,
    async signX509Svid(request) {
      const svid = await authority.signX509Svid(request);
      x509();
      return svid;
    },
    async signAgentX509Svid(request) {
      const svid = await authority.signAgentX509Svid(request);
      x509();
      return svid;
    },
    async signDownstreamX509Ca(request) {
      const svid = await authority.signDownstreamX509Ca(request);
      ca();
      return svid;
    },
    async signJwtSvid(request) {
      const svid = await authority.signJwtSvid(request);
      jwt();
      return svid;
    },
  };
}
