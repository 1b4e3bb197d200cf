// Something that stays, as long as another uses it or for a reason: Crossplane refuses its deletion meanwhile, and makes up for it afterwards.
import type { Composed, Json, Scope } from './composed.ts';

export function usage({ flavour }: Scope, name: string, spec: Json): Composed {
  const apiVersion = flavour === 'legacy' ? 'apiextensions.crossplane.io/v1beta1' : 'protection.crossplane.io/v1beta1';
  return { name, resource: { apiVersion, kind: 'Usage', metadata: {}, spec } };
}
