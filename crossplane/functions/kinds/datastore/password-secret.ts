// Where the password is, of clouds that take it from a secret: namespaced resources read secrets of their own namespace alone.
import type { Json, Scope } from '../../composed.ts';
import type { DatastoreSpec } from '../../specs.ts';

export function passwordSecret(scope: Scope, { passwordSecretRef }: DatastoreSpec): Json {
  const { namespace, ...ref } = passwordSecretRef ?? {};
  if (scope.flavour === 'legacy') return { ...ref, namespace: scope.namespace === '' ? namespace : scope.namespace };
  if (namespace !== undefined && namespace !== scope.namespace)
    throw new Error(`spec.passwordSecretRef.namespace: must be ${scope.namespace}, not ${namespace}`);
  return ref;
}
