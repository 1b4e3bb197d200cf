// What an Envoy asks its agent for, and its answers in words: names, PEM, and which validator judges peers.
import { Secret } from '../../proto/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { SPIFFECertValidatorConfig } from '../../proto/gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import { DiscoveryRequest } from '../../proto/gen/envoy/service/discovery/v3/discovery.ts';
import type { DataSource } from '../../proto/gen/envoy/config/core/v3/base.ts';
import type { Any } from '../../proto/gen/google/protobuf/any.ts';

export const secretType = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

export function ask(resourceNames: readonly string[], rest: Partial<DiscoveryRequest> = {}): DiscoveryRequest {
  return DiscoveryRequest.create({ typeUrl: secretType, resourceNames: [...resourceNames], ...rest });
}

export interface ReadSecret {
  readonly name: string;
  readonly certificate?: string;
  readonly key?: string;
  /** Judged by Envoy itself. */
  readonly roots?: string;
  /** Judged by its SPIFFE validator: PEM by trust domain. */
  readonly trustDomains?: Readonly<Record<string, string>>;
}

export function readSecrets(resources: readonly Any[]): ReadSecret[] {
  return resources.map(readSecret);
}

function readSecret({ typeUrl, value }: Any): ReadSecret {
  if (typeUrl !== secretType) throw new Error(`resource has type ${typeUrl}`);
  const { name, type } = Secret.decode(value);
  if (type === undefined) throw new Error(`secret ${name} is empty`);
  if (type.$case === 'tlsCertificate') {
    const { certificateChain, privateKey } = type.value;
    return { name, certificate: text(certificateChain), key: text(privateKey) };
  }
  const { trustedCa, customValidatorConfig } = type.value;
  if (customValidatorConfig === undefined) return { name, roots: text(trustedCa) };
  if (trustedCa !== undefined) throw new Error(`secret ${name} has two validators`);
  if (customValidatorConfig.name !== 'envoy.tls.cert_validator.spiffe')
    throw new Error(`secret ${name} has the validator ${customValidatorConfig.name}`);
  const { typedConfig } = customValidatorConfig;
  const wanted = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';
  if (typedConfig?.typeUrl !== wanted) throw new Error(`validator has type ${typedConfig?.typeUrl ?? 'none'}`);
  const { trustDomains } = SPIFFECertValidatorConfig.decode(typedConfig.value);
  return { name, trustDomains: Object.fromEntries(trustDomains.map((one) => [one.name, text(one.trustBundle)])) };
}

function text(source: DataSource | undefined): string {
  if (source?.specifier?.$case !== 'inlineBytes') throw new Error('data is not inline bytes');
  return Buffer.from(source.specifier.value).toString();
}
