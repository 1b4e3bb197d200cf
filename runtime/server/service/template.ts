// On which terms a service may give identities to the processes that it runs for others. Checked when an administrator sets it.
import type { SubjectKind } from '../../spiffe/service-id.ts';
import { parseSubjectKind, serviceName } from '../../spiffe/service-id.ts';
import { checkSelector, sortSelectors } from '../../spiffe/selector.ts';
import type { Selector } from '../../spiffe/selector.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { EntryRecord } from '../store/records.ts';

/**
 * A process has one of each, and only root or systemd can choose it. A path is none of them: who may execute the program of another customer would
 * become that customer.
 */
export const distinguishers = ['unix:uid', 'unix:user', 'systemd:id'] as const;
export type Distinguisher = (typeof distinguishers)[number];

export interface ServiceTemplate {
  /** Of the service itself. */
  readonly entryId: string;
  readonly kinds: readonly SubjectKind[];
  /** What every process must have. */
  readonly selectors: readonly Selector[];
  readonly distinguishedBy: Distinguisher;
  /** Seconds; 0 = what the service's entry has. */
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  readonly leaseSeconds: number;
  /** On one node. */
  readonly mostIdentities: number;
}

/** As it came; 0 and absence are the defaults. */
export interface TemplateDraft {
  readonly entryId: string;
  readonly kinds: readonly string[];
  readonly selectors: readonly Selector[];
  readonly distinguishedBy: string;
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  readonly leaseSeconds: number;
  readonly mostIdentities: number;
}

const lease = { usual: 3600, shortest: 60, longest: 86_400 };
const identities = { usual: 256, most: 10_000 };
const mostSelectors = 16;

/** Throws with words for the caller. */
export function parseTemplate(draft: TemplateDraft): ServiceTemplate {
  if (draft.entryId === '') throw new Error('missing entry ID');
  if (draft.kinds.length === 0) throw new Error('missing kinds');
  if (draft.selectors.length === 0) throw new Error('missing selectors: a service must not name any process it likes');
  if (draft.selectors.length > mostSelectors)
    throw new Error(`there are ${draft.selectors.length} selectors, at most ${mostSelectors} are taken`);
  draft.selectors.forEach(checkSelector);
  const distinguishedBy = distinguishers.find((one) => one === draft.distinguishedBy);
  if (distinguishedBy === undefined)
    throw new Error(
      `distinguished by ${JSON.stringify(draft.distinguishedBy)}, want one of ${distinguishers.join(', ')}`,
    );
  const fixed = draft.selectors.find((selector) => distinguishingValue(selector, distinguishedBy) !== undefined);
  if (fixed !== undefined)
    throw new Error(`all processes have the same ${distinguishedBy}, which is to tell them apart`);
  if (draft.x509SvidTtl < 0 || draft.jwtSvidTtl < 0) throw new Error('a TTL is negative');
  const leaseSeconds = draft.leaseSeconds === 0 ? lease.usual : draft.leaseSeconds;
  if (leaseSeconds < lease.shortest || leaseSeconds > lease.longest)
    throw new Error(`lease is ${leaseSeconds} s, want ${lease.shortest} to ${lease.longest}`);
  const mostIdentities = draft.mostIdentities === 0 ? identities.usual : draft.mostIdentities;
  if (mostIdentities < 1 || mostIdentities > identities.most)
    throw new Error(`identities on a node are ${mostIdentities}, want 1 to ${identities.most}`);
  return {
    entryId: draft.entryId,
    kinds: [...new Set(draft.kinds.map(parseSubjectKind))].sort(),
    selectors: sortSelectors(draft.selectors),
    distinguishedBy,
    x509SvidTtl: draft.x509SvidTtl,
    jwtSvidTtl: draft.jwtSvidTtl,
    leaseSeconds,
    mostIdentities,
  };
}

/** Throws unless the entry is one that may have a template. */
export function checkServiceEntry({ id, spiffeId, admin, downstream, storeSvid }: EntryRecord): void {
  if (serviceName(parseSpiffeId(spiffeId)) === undefined)
    throw new Error(`entry ${id} is of ${spiffeId}, want an ID with the path /service/<name>`);
  if (admin) throw new Error(`entry ${id} is an administrator's`);
  if (downstream) throw new Error(`entry ${id} is a downstream server's`);
  if (storeSvid) throw new Error(`entry ${id} is for a store of SVIDs`);
}

/** `10001` of the selector `unix:uid:10001`; undefined where the selector says something else. */
export function distinguishingValue({ type, value }: Selector, by: Distinguisher): string | undefined {
  const text = `${type}:${value}`;
  return text.startsWith(`${by}:`) ? text.slice(by.length + 1) : undefined;
}
