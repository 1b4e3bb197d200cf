// What our kinds need to know beside what activities are told: where Kubernetes keeps them, and the accounts of the clouds that Crossplane's providers
// make them in.
import { shortDigest } from '../../spec/resource-names.ts';
import type { Cloud } from '../../spec/trust-domain-spec.ts';

export interface CrossplaneSettings {
  /** Of the ClusterProviderConfig of each cloud's providers. */
  readonly providerConfig: string;
  readonly awsAccount: string;
  readonly awsImage: string;
  readonly gcpProject: string;
  readonly gcpImage: string;
  /** The Secret that Cloud SQL takes its password from; RDS makes its own. */
  readonly gcpPassword: { readonly name: string; readonly key: string } | undefined;
  /** What servers and workers ask of the connection to a database, in the words of libpq. */
  readonly sslMode: 'disable' | 'require' | 'verify-full';
}

/** The fields that every kind of ours has. */
export function commonSpec(settings: CrossplaneSettings, cloud: Cloud, trustDomain: string) {
  return {
    trustDomain,
    cloud,
    providerConfig: settings.providerConfig,
    ...(cloud === 'gcp' ? { project: settings.gcpProject } : {}),
  };
}

/** By which all that a trust domain has is found. */
export function trustDomainLabels(trustDomain: string): Readonly<Record<string, string>> {
  return { 'espalier.io/trust-domain': shortDigest(trustDomain) };
}
