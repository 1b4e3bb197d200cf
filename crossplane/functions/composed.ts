// What builders are given and give back: the composite resource they build for, resources by their names in the composition, and a status.
import { createHash } from 'node:crypto';

export type Json = Readonly<Record<string, unknown>>;

/** The kinds come twice: namespaced (Crossplane 2), and as claims on cluster-scoped ones (Crossplane 1). */
export type Flavour = 'namespaced' | 'legacy';

export interface Scope {
  readonly flavour: Flavour;
  /** Namespace of the composite resource or of its claim; empty where there is neither. */
  readonly namespace: string;
  /** The name that its user gave: the claim's, where there is one. */
  readonly name: string;
  /** The composite resource's own. */
  readonly compositeName: string;
  readonly providerConfig: string;
  /** What Crossplane saw of a composed resource, by its name in the composition. */
  observed(name: string): Json | undefined;
}

export interface Composed {
  readonly name: string;
  readonly resource: Json;
}

export interface Built {
  readonly resources: readonly Composed[];
  readonly status: Json;
  /** What must be known before the rest can be built; while there is any, the composite resource is not ready. */
  readonly waitingFor: readonly string[];
}

const group = 'espalier.io';

export const networkLabel = `${group}/network`;
export const datastoreLabel = `${group}/datastore`;
export const partLabel = `${group}/part`;

/** Fits a label whatever the names' lengths; the same name in two namespaces gives two keys. */
export function keyOf(scope: Pick<Scope, 'namespace'>, name: string): string {
  return createHash('sha256').update(`${scope.namespace}/${name}`).digest('hex').slice(0, 16);
}

/** A cloud's name for a part: at most 24 characters, as the shortest limit is 30. */
export function shortName(scope: Scope, part: string): string {
  return `${part.slice(0, 14)}-${keyOf(scope, scope.name).slice(0, 8)}`;
}

/** A field of what a provider reports in `status.atProvider`; undefined until it does. */
export function reported(scope: Scope, name: string, ...path: readonly (string | number)[]): unknown {
  return ['status', 'atProvider', ...path].reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[key] : undefined,
    scope.observed(name),
  );
}

/** Without what is not known yet: an undefined field is none. */
export function known(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
