// One secret as Envoy takes it: a certificate with its key, or the bundles by which it judges its peers.
import type { Any } from '../../../proto/gen/google/protobuf/any.ts';
import type { CertificateValidationContext } from '../../../proto/gen/envoy/extensions/transport_sockets/tls/v3/common.ts';
import { Secret } from '../../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { SPIFFECertValidatorConfig } from '../../../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import { certificatesToPem, encodePem } from '../../pki/pem.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { WorkloadSvid } from '../cache/workload-svid.ts';

const typeUrlPrefix = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.';
const validatorName = 'envoy.tls.cert_validator.spiffe';

export const secretTypeUrl = `${typeUrlPrefix}Secret`;

export function certificateSecret(name: string, { chain, privateKey }: WorkloadSvid): Any {
  return encodeSecret({
    name,
    type: {
      $case: 'tlsCertificate',
      value: {
        certificateChain: inline(certificatesToPem(chain)),
        privateKey: inline(encodePem('PRIVATE KEY', privateKey)),
      },
    },
  });
}

/** One bundle, against which Envoy itself judges: it does not know trust domains. */
export function rootsSecret(name: string, bundle: TrustBundle): Any {
  return validationSecret(name, { trustedCa: inline(pemOf(bundle)), customValidatorConfig: undefined });
}

/** Bundles for Envoy's SPIFFE validator: each peer is judged by that of its own trust domain. */
export function spiffeValidatorSecret(name: string, bundles: readonly TrustBundle[]): Any {
  const trustDomains = bundles
    .map((bundle) => ({ name: bundle.trustDomain.name, trustBundle: inline(pemOf(bundle)) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const typedConfig = {
    typeUrl: `${typeUrlPrefix}SPIFFECertValidatorConfig`,
    value: SPIFFECertValidatorConfig.encode({ trustDomains }).finish(),
  };
  return validationSecret(name, { trustedCa: undefined, customValidatorConfig: { name: validatorName, typedConfig } });
}

function validationSecret(name: string, value: CertificateValidationContext): Any {
  return encodeSecret({ name, type: { $case: 'validationContext', value } });
}

function encodeSecret(secret: Secret): Any {
  return { typeUrl: secretTypeUrl, value: Secret.encode(secret).finish() };
}

function inline(pem: string) {
  return { specifier: { $case: 'inlineBytes' as const, value: Buffer.from(pem) } };
}

function pemOf({ x509Authorities }: TrustBundle): string {
  return certificatesToPem(x509Authorities.map(({ asn1 }) => asn1));
}
