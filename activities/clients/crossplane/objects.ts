// What the Crossplane client asks of Kubernetes, in the one namespace that a worker is given: our kinds, and what they are composed of. Failures are ours
// already (kubernetes-errors.ts).

export const kinds = ['SpireNetwork', 'SpireDatastore', 'SpireIdentity', 'SpireMachine'] as const;
export type Kind = (typeof kinds)[number];

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string | undefined;
  readonly message?: string | undefined;
  readonly lastTransitionTime?: string | undefined;
  readonly observedGeneration?: number | undefined;
}

export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
}

/** What is read of any object; the rest is the caller's to know. */
export interface CompositeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly generation?: number | undefined;
    readonly deletionTimestamp?: string | undefined;
    readonly ownerReferences?: readonly (Reference & { readonly controller?: boolean | undefined })[] | undefined;
  };
  readonly spec: Readonly<Record<string, unknown>> & {
    readonly crossplane?: { readonly resourceRefs?: readonly Reference[] | undefined } | undefined;
  };
  readonly status?: (Readonly<Record<string, unknown>> & { readonly conditions?: readonly Condition[] }) | undefined;
}

export interface AppliedObject {
  readonly kind: Kind;
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface Objects {
  get(kind: Kind, name: string): Promise<CompositeObject | undefined>;
  /** A part of any group; undefined where it is not there, or not ours to see. */
  look(reference: Reference): Promise<CompositeObject | undefined>;
  list(kind: Kind, labels: Readonly<Record<string, string>>): Promise<CompositeObject[]>;
  /** Server-side apply. `manager` says who wants these fields; with `force` it takes them over from whoever wanted them before. */
  apply(object: AppliedObject, options: { readonly manager: string; readonly force: boolean }): Promise<void>;
  /** What it is made of goes first; it is there until that is gone. Content where it is not there. */
  remove(kind: Kind, name: string): Promise<void>;
  /** One value of a Secret; undefined where there is none. */
  readSecret(name: string, key: string): Promise<string | undefined>;
}
