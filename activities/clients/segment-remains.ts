// Of what a trust domain has in a cloud besides instances, what belongs to its segments: by the names that we give. Pure.
import { stem } from '../cloud.ts';
import type { SegmentRemains } from '../cloud.ts';

export interface NamedThings {
  /** As `server-west` and `node-west`; others are the root's own. */
  readonly roles: readonly string[];
  /** Secrets by their whole names, see `databaseSecretName`. */
  readonly secrets: readonly { readonly name: string; readonly region?: string }[];
}

export function segmentRemains(trustDomain: string, { roles, secrets }: NamedThings): SegmentRemains[] {
  return [
    ...secrets.flatMap(({ name, ...where }): SegmentRemains[] => {
      const segment = poolOfSecret(trustDomain, name);
      return segment === undefined || segment === 'upstream' ? [] : [{ segment, kind: 'secret', ...where }];
    }),
    ...roles.flatMap((role): SegmentRemains[] => {
      const segment = segmentOfRole(role);
      return segment === undefined ? [] : [{ segment, kind: 'identity' }];
    }),
  ];
}

export function segmentOfRole(role: string): string | undefined {
  return /^(?:server|node)-(.+)$/.exec(role)?.[1];
}

function poolOfSecret(trustDomain: string, name: string): string | undefined {
  const prefix = `${stem(trustDomain)}-`;
  return name.startsWith(prefix) ? /^(.+)-database$/.exec(name.slice(prefix.length))?.[1] : undefined;
}
