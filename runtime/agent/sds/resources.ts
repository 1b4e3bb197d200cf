// Which secrets answer a request: those whose names it has, or all that the workload may have where it has none. A name that is left over refuses all.
import type { DiscoveryRequest } from '../../../proto/gen/envoy/service/discovery/v3/discovery.ts';
import type { Any } from '../../../proto/gen/google/protobuf/any.ts';
import { internal, invalidArgument } from '../../rpc/status.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { WorkloadIdentity, WorkloadUpdate } from '../cache/svid-cache.ts';
import { usesSpiffeValidator } from './envoy-node.ts';
import { certificateSecret, rootsSecret, spiffeValidatorSecret } from './secrets.ts';

export interface SdsConfig {
  /** Names the workload's first identity. */
  readonly defaultSvidName: string;
  /** Names the bundle of the trust domain. */
  readonly defaultBundleName: string;
  /** Names that bundle and the federated ones together. */
  readonly defaultAllBundlesName: string;
  readonly disableSpiffeCertValidation: boolean;
}

/** Throws INVALID_ARGUMENT where the workload may not have all that it asks for. */
export function resourcesFor(
  request: DiscoveryRequest,
  update: WorkloadUpdate,
  config: SdsConfig,
  onIdentity?: (identity: WorkloadIdentity) => void,
): Any[] {
  const names = new Set(request.resourceNames.filter((name) => name !== ''));
  const all = names.size === 0;
  const isWanted = (name: string): boolean => names.delete(name) || all;

  const found = [...bundleSecrets(request, update, config, names, isWanted)];
  const sent: WorkloadIdentity[] = [];
  for (const [i, identity] of update.identities.entries()) {
    const { entry, svid } = identity;
    const id = entry.spiffeId.toString();
    const name = isWanted(id)
      ? id
      : i === 0 && names.delete(config.defaultSvidName)
        ? config.defaultSvidName
        : undefined;
    if (name === undefined) continue;
    found.push(certificateSecret(name, svid));
    sent.push(identity);
  }
  if (names.size === 0) {
    for (const identity of sent) onIdentity?.(identity);
    return found;
  }
  const missing = [...names].sort().map((name) => JSON.stringify(name));
  throw invalidArgument(`workload is not authorized for the requested identities [${missing.join(' ')}]`);
}

/** The trust domain's own bundle goes by one name in an answer: of several that a request has for it, the others are left over. */
function* bundleSecrets(
  { node }: DiscoveryRequest,
  { bundle, federatedBundles }: WorkloadUpdate,
  { defaultBundleName, defaultAllBundlesName, disableSpiffeCertValidation }: SdsConfig,
  names: Set<string>,
  isWanted: (name: string) => boolean,
): Generator<Any, void, undefined> {
  const forValidator = usesSpiffeValidator(node, disableSpiffeCertValidation);
  const one = (name: string, single: TrustBundle): Any =>
    forValidator ? spiffeValidatorSecret(name, [single]) : rootsSecret(name, single);

  const id = bundle.trustDomain.idString();
  if (isWanted(id)) yield one(id, bundle);
  else if (names.delete(defaultBundleName)) yield one(defaultBundleName, bundle);
  else if (names.delete(defaultAllBundlesName)) {
    if (!forValidator) throw internal('unable to use "SPIFFE validator" on Envoy below 1.17');
    yield spiffeValidatorSecret(defaultAllBundlesName, [bundle, ...federatedBundles]);
  }
  for (const federated of federatedBundles) {
    const name = federated.trustDomain.idString();
    if (isWanted(name)) yield one(name, federated);
  }
}
