// A claim as the operator reads it: whose trust domain, what specification, and what the operator itself said of it before. Beside the specification the object
// has fields that are Crossplane's and the composition's; they are not looked at.
import { parseTrustDomainSpec, SpecError } from '../../activities/spec/check-spec.ts';
import { trustDomainSchema } from '../../activities/spec/trust-domain-spec.ts';
import type { TrustDomainSpec } from '../../activities/spec/trust-domain-spec.ts';
import type { AnyObject } from '../../activities/clients/kubernetes/resource-kinds.ts';

export const finalizer = 'espalier.io/trust-domain';
/** Lets a claim have a trust domain that was not grown for it. */
export const adoptAnnotation = 'espalier.io/adopt';

export interface Condition {
  readonly type: 'Accepted' | 'Standing' | 'UpToDate' | 'TornDown';
  readonly status: 'True' | 'False' | 'Unknown';
  /** One word, for programs. */
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

export interface OperatorStatus {
  /** One word for lists. */
  readonly state?: string;
  readonly observedGeneration?: number;
  readonly workflowId?: string;
  readonly runId?: string;
  readonly planDigest?: string;
  readonly waitingFor?: string;
  readonly phases?: readonly { readonly name: string; readonly state: string; readonly failure?: string }[];
  readonly conditions?: readonly Condition[];
}

export interface ClaimObject extends AnyObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: { readonly espalier?: OperatorStatus };
}

export interface Claim {
  readonly object: ClaimObject;
  readonly uid: string;
  readonly generation: number;
  /** `namespace/name`. */
  readonly name: string;
  /** As far as it can be read, even where the rest cannot. */
  readonly trustDomain: string | undefined;
  /** Or the faults, one a line. */
  readonly spec: TrustDomainSpec | string;
  readonly isDeleted: boolean;
  readonly isProtected: boolean;
  readonly isHeld: boolean;
  readonly adopts: boolean;
}

export function readClaim(object: ClaimObject): Claim {
  const { metadata, spec = {} } = object;
  const { trustDomain } = spec;
  return {
    object,
    uid: metadata.uid ?? '',
    generation: metadata.generation ?? 0,
    name: `${metadata.namespace ?? ''}/${metadata.name}`,
    trustDomain: typeof trustDomain === 'string' ? trustDomain : undefined,
    spec: specIn(spec),
    isDeleted: metadata.deletionTimestamp !== undefined,
    // What protects is not lost with a field that is missing.
    isProtected: spec['deletionProtection'] !== false,
    isHeld: metadata.finalizers?.includes(finalizer) === true,
    adopts: metadata.annotations?.[adoptAnnotation] === 'true',
  };
}

function specIn(fields: Readonly<Record<string, unknown>>): TrustDomainSpec | string {
  const ours = Object.fromEntries(
    Object.keys(trustDomainSchema.shape).flatMap((key) => (fields[key] === undefined ? [] : [[key, fields[key]]])),
  );
  try {
    return parseTrustDomainSpec(ours);
  } catch (cause) {
    if (cause instanceof SpecError) return cause.message;
    throw cause;
  }
}

/** Of several claims of one trust domain the oldest has it; the same one whoever asks. */
export function holderOf(claims: readonly Claim[], trustDomain: string): Claim | undefined {
  const age = ({ object: { metadata }, uid }: Claim): string => `${metadata.creationTimestamp ?? ''} ${uid}`;
  return claims
    .filter((claim) => claim.trustDomain === trustDomain)
    .toSorted((a, b) => (age(a) < age(b) ? -1 : 1))
    .at(0);
}
