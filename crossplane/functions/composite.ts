// The composite resource as the function reads it: which flavour it is, whose claim it serves, and its specification without Crossplane's own fields.
import { z } from 'zod';
import type { Json, Scope } from './composed.ts';

const compositeSchema = z.object({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.object({ name: z.string(), namespace: z.string().optional() }),
  spec: z.record(z.string(), z.unknown()),
});

const claimRefSchema = z.object({ name: z.string(), namespace: z.string() });

/** What Crossplane writes into `spec` beside what users wrote: the first in version 2, the others in version 1. */
const machinery = new Set([
  'crossplane',
  'claimRef',
  'compositionRef',
  'compositionRevisionRef',
  'compositionRevisionSelector',
  'compositionSelector',
  'compositionUpdatePolicy',
  'publishConnectionDetailsTo',
  'resourceRefs',
  'writeConnectionSecretToRef',
]);

export interface Composite {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: Json;
  readonly scope: Scope;
}

export function readComposite(input: unknown, observed: (name: string) => Json | undefined): Composite {
  const { apiVersion, kind, metadata, spec } = compositeSchema.parse(input);
  const isLegacy = metadata.namespace === undefined;
  const claim = isLegacy && spec['claimRef'] !== undefined ? claimRefSchema.parse(spec['claimRef']) : undefined;
  return {
    apiVersion,
    kind: isLegacy ? kind.replace(/^X/, '') : kind,
    spec: Object.fromEntries(Object.entries(spec).filter(([key]) => !machinery.has(key))),
    scope: {
      flavour: isLegacy ? 'legacy' : 'namespaced',
      namespace: metadata.namespace ?? claim?.namespace ?? '',
      name: claim?.name ?? metadata.name,
      compositeName: metadata.name,
      providerConfig: typeof spec['providerConfig'] === 'string' ? spec['providerConfig'] : 'default',
      observed,
    },
  };
}

/** A kind of ours, as it is called in a flavour. */
export function compositeType(
  { flavour }: Scope,
  kind: string,
): { readonly apiVersion: string; readonly kind: string } {
  return flavour === 'legacy'
    ? { apiVersion: 'legacy.espalier.io/v1alpha1', kind: `X${kind}` }
    : { apiVersion: 'espalier.io/v1alpha1', kind };
}
