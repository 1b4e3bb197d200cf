// An entry that somebody's object asks for, and the object that asks. Two entries with one key cannot stand side by side on a server.
import { formatSelector, sortSelectors } from '../../../runtime/spiffe/selector.ts';
import type { Selector } from '../../../runtime/spiffe/selector.ts';

export interface EntryAttributes {
  readonly spiffeId: string;
  readonly parentId: string;
  /** In order, without repetition. */
  readonly selectors: readonly Selector[];
  /** Seconds; 0 is the server's default. */
  readonly x509SvidTtl: number;
  readonly jwtSvidTtl: number;
  readonly federatesWith: readonly string[];
  readonly dnsNames: readonly string[];
  readonly admin: boolean;
  readonly downstream: boolean;
  readonly storeSvid: boolean;
  readonly hint: string;
}

export interface WantedEntry extends EntryAttributes {
  readonly key: string;
}

/** As the server has it. */
export interface CurrentEntry extends WantedEntry {
  readonly id: string;
}

/** The object that an entry comes from: a custom resource, or a pod. */
export interface Declarer {
  readonly cluster: string;
  readonly kind: 'ClusterSPIFFEID' | 'ClusterStaticEntry' | 'ClusterFederatedTrustDomain' | 'Pod' | 'Node';
  /** `namespace/name` where it has a namespace. */
  readonly name: string;
  readonly uid: string;
  /** Epoch milliseconds; of `deletedAt`, undefined where it is not being deleted. */
  readonly createdAt: number;
  readonly deletedAt: number | undefined;
}

export interface DeclaredEntry {
  readonly entry: WantedEntry;
  readonly by: Declarer;
}

/** Something that cannot be registered: the object, its field and why. */
export interface RegistrationFault {
  readonly by: string;
  readonly field: string;
  readonly reason: string;
}

export function keyed(attributes: EntryAttributes): WantedEntry {
  const selectors = sortSelectors(attributes.selectors);
  const key = [attributes.spiffeId, attributes.parentId, ...selectors.map(formatSelector)].join('\0');
  return { ...attributes, selectors, key };
}

export const attributeNames = [
  'x509SvidTtl',
  'jwtSvidTtl',
  'federatesWith',
  'dnsNames',
  'admin',
  'downstream',
  'storeSvid',
  'hint',
] as const satisfies readonly (keyof EntryAttributes)[];

/** What of two entries with one key is not the same; lists are compared as sets. */
export function differences(a: EntryAttributes, b: EntryAttributes): string[] {
  return attributeNames.filter((name) => !isSame(a[name], b[name]));
}

function isSame(a: EntryAttributes[(typeof attributeNames)[number]], b: typeof a): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  if (a.length === 0 && b.length === 0) return true;
  const [first, second] = [new Set(a), new Set(b)];
  return first.size === second.size && [...first].every((value) => second.has(value));
}

export const nameOf = ({ cluster, kind, name }: Declarer): string => `${cluster}: ${kind} ${name}`;
