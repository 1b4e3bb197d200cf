// The parts of a server that its probes ask, by SPIRE's names for them and for what can be wrong with each. What is not open yet is not well.
import type { CertificateAuthority } from '../ca/authority.ts';
import type { Store } from '../store/store.ts';
import type { HealthCheck } from './health-checker.ts';

/** Filled in while the server starts. */
export interface OpenedParts {
  authority?: CertificateAuthority;
  store?: Store;
  serving: boolean;
}

export function partsToCheck(parts: OpenedParts): HealthCheck[] {
  const notYet = (what: string): Promise<never> => Promise.reject(new Error(what));
  return [
    {
      name: 'catalog.datastore',
      fault: 'list_bundle_err',
      check: () => parts.store?.ping() ?? notYet('datastore is not open yet'),
    },
    {
      name: 'server',
      fault: 'get_bundle_err',
      check: () => (parts.serving ? Promise.resolve() : notYet('unable to fetch bundle: not serving yet')),
    },
    {
      name: 'server.ca',
      fault: 'sign_x509_svid_err',
      check: () => parts.authority?.checkSigning() ?? notYet('X509 CA is not available for signing'),
    },
    {
      name: 'server.ca.rotator',
      fault: 'rotation_err',
      check: () => parts.authority?.checkRotation() ?? Promise.resolve(),
    },
  ];
}
