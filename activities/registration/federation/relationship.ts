// A federation relationship as a custom resource asks for it and as the server has it.
import type { TrustBundle } from '../../../runtime/spiffe/bundle.ts';

export interface Relationship {
  readonly trustDomain: string;
  readonly url: string;
  /** Of an `https_spiffe` endpoint; an `https_web` one has none. */
  readonly endpointId: string | undefined;
  /** To begin with; what the endpoint serves later goes before it. */
  readonly bundle: TrustBundle | undefined;
}

/** Without the bundle: the server fetches newer ones, and setting back the first would take trust away. */
export function isSameRelationship(a: Relationship, b: Relationship): boolean {
  return a.trustDomain === b.trustDomain && a.url === b.url && a.endpointId === b.endpointId;
}
