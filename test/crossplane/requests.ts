// Requests as Crossplane sends them: a composite resource in either flavour, and what it saw of the parts.
import { RunFunctionRequest } from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import type { Flavour, Json } from '../../crossplane/functions/composed.ts';
import type { Case } from './specs.ts';

export function requestFor(
  { kind, spec, observed: reported = {} }: Omit<Case, 'name'>,
  flavour: Flavour,
  observed: Readonly<Record<string, Json>> = reported,
) {
  const resource =
    flavour === 'namespaced'
      ? {
          apiVersion: 'espalier.io/v1alpha1',
          kind,
          metadata: { name: 'network', namespace: 'trust' },
          spec: { ...spec, crossplane: { compositionRef: { name: 'composition' } } },
        }
      : {
          apiVersion: 'legacy.espalier.io/v1alpha1',
          kind: `X${kind}`,
          metadata: { name: 'network-x7k2p' },
          spec: {
            ...spec,
            claimRef: { apiVersion: 'legacy.espalier.io/v1alpha1', kind, namespace: 'trust', name: 'network' },
            compositionRef: { name: 'composition' },
          },
        };
  return RunFunctionRequest.fromPartial({
    meta: { tag: 'a-tag' },
    observed: {
      composite: { resource },
      resources: Object.fromEntries(Object.entries(observed).map(([name, part]) => [name, { resource: part }])),
    },
  });
}
