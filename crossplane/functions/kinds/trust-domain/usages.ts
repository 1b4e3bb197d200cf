// In which order a trust domain may be deleted: what something stands on stays until that is gone. Crossplane refuses the deletion meanwhile, and
// makes up for it afterwards.
import type { Composed, Json, Scope } from '../../composed.ts';
import { compositeType } from '../../composite.ts';
import { usage } from '../../usage.ts';
import type { Child } from './children.ts';

export function usagesOf(scope: Scope, children: readonly Child[]): Composed[] {
  return children.flatMap((user) =>
    children.filter((used) => standsOn(user, used)).map((used) => usageBy(scope, used, user)),
  );
}

/** Of the composite resource itself: a root of trust is not deleted by a slip. */
export function protection(scope: Scope, composite: { readonly kind: string; readonly name: string }): Composed {
  const { apiVersion } = compositeType(scope, composite.kind);
  return usage(scope, 'deletion-protection', {
    of: { apiVersion, kind: composite.kind, resourceRef: { name: composite.name } },
    reason: 'spec.deletionProtection is true',
  });
}

function standsOn(user: Child, used: Child): boolean {
  const pool = (child: Child): string => child.part.replace(/^[a-z]+-/, '');
  const isSamePool = pool(user) === pool(used);
  if (used.kind === 'SpireNetwork') return networkOf(user) === used.name;
  if (used.kind === 'SpireDatastore') return isSamePool && user.kind === 'SpireServerPool';
  if (used.kind !== 'SpireServerPool') return false;
  // Agents on their server; downstream servers on the upstream's.
  if (user.kind === 'SpireNodePool') return isSamePool;
  return user.kind === 'SpireServerPool' && !isSamePool && pool(used) === 'upstream';
}

function networkOf({ spec }: Child): unknown {
  return (spec['networkRef'] as { readonly name: string } | undefined)?.name;
}

function usageBy(scope: Scope, used: Child, user: Child): Composed {
  const side = ({ kind, name }: Child): Json => ({
    ...compositeType(scope, kind),
    resourceRef: { name },
  });
  return usage(scope, `usage-${used.part}-by-${user.part}`, { of: side(used), by: side(user), replayDeletion: true });
}
