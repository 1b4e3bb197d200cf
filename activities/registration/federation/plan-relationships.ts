// What has to be done so that the wanted relationships stand. A relationship bears no mark of who made it: what was made here is known by name, from a record
// that outlives the process, and only that is ever changed or removed. Pure.
import { createHash } from 'node:crypto';
import { encodeSpiffeBundle } from '../../../runtime/spiffe/bundle.ts';
import type { Declarer, RegistrationFault } from '../entries/wanted-entry.ts';
import { nameOf } from '../entries/wanted-entry.ts';
import { comparePreference } from '../custom-resources/declarers.ts';
import { isSameRelationship } from './relationship.ts';
import type { Relationship } from './relationship.ts';

export interface DeclaredRelationship {
  readonly relationship: Relationship;
  readonly by: Declarer;
}

/** By trust domain, the digest of the bundle that was given last; empty where none was. */
export type RelationshipRecord = Readonly<Record<string, string>>;

export interface RelationshipPlan {
  readonly create: readonly Relationship[];
  readonly update: readonly Relationship[];
  readonly remove: readonly string[];
  /** What the record must say before anything is made, and may say once everything is done. */
  readonly recordFirst: RelationshipRecord;
  readonly recordAfter: RelationshipRecord;
  readonly faults: readonly RegistrationFault[];
}

export interface RelationshipSituation {
  readonly declared: readonly DeclaredRelationship[];
  readonly current: readonly Relationship[];
  readonly recorded: RelationshipRecord;
  /** Whether what stands already becomes ours where a resource asks for it. */
  readonly takesOver: boolean;
  /** Whether every cluster's resources are known: otherwise nothing is removed. */
  readonly isComplete: boolean;
}

export function planRelationships(situation: RelationshipSituation): RelationshipPlan {
  const { recorded, takesOver, isComplete } = situation;
  const { wanted, faults } = oneForEach(situation.declared);
  const there = new Map(situation.current.map((one) => [one.trustDomain, one]));
  const isOurs = (trustDomain: string): boolean => takesOver || Object.hasOwn(recorded, trustDomain);
  const create: Relationship[] = [];
  const update: Relationship[] = [];
  for (const { relationship, by } of wanted.values()) {
    const { trustDomain } = relationship;
    const stands = there.get(trustDomain);
    if (stands === undefined) create.push(relationship);
    else if (isOurs(trustDomain)) {
      if (!isSameRelationship(relationship, stands) || needsBundle(relationship, stands, recorded[trustDomain]))
        update.push(relationship);
    } else if (!isSameRelationship(relationship, stands)) {
      const reason = `somebody else has federated ${trustDomain} otherwise, by ${stands.url}`;
      faults.push({ by: nameOf(by), field: 'spec', reason });
    }
  }
  const gone = isComplete ? Object.keys(recorded).filter((name) => !wanted.has(name)) : [];
  const kept = [...wanted.values()]
    .map(({ relationship }) => relationship)
    .filter(({ trustDomain }) => !there.has(trustDomain) || isOurs(trustDomain));
  const recordFirst = { ...Object.fromEntries(kept.map(({ trustDomain }) => [trustDomain, ''])), ...recorded };
  const digests = Object.fromEntries(kept.map((one) => [one.trustDomain, bundleDigest(one)]));
  const left = Object.entries({ ...recordFirst, ...digests }).filter(([name]) => !gone.includes(name));
  return {
    create,
    update,
    remove: gone.filter((name) => there.has(name)),
    recordFirst,
    recordAfter: Object.fromEntries(left),
    faults,
  };
}

/** Two resources for one trust domain: the older stands. */
function oneForEach(declared: readonly DeclaredRelationship[]) {
  const wanted = new Map<string, DeclaredRelationship>();
  const faults: RegistrationFault[] = [];
  for (const one of [...declared].sort((a, b) => comparePreference(a.by, b.by))) {
    const { trustDomain } = one.relationship;
    const before = wanted.get(trustDomain);
    if (before === undefined) wanted.set(trustDomain, one);
    else {
      const reason = `${trustDomain} is federated by ${nameOf(before.by)} already`;
      faults.push({ by: nameOf(one.by), field: 'spec.trustDomain', reason });
    }
  }
  return { wanted, faults };
}

/** A bundle is given once: the server fetches newer ones, and setting back the first would take trust away. */
function needsBundle(wanted: Relationship, stands: Relationship, recordedDigest: string | undefined): boolean {
  if (wanted.bundle === undefined) return false;
  if (recordedDigest === undefined) return stands.bundle === undefined;
  return recordedDigest !== bundleDigest(wanted);
}

function bundleDigest({ bundle }: Relationship): string {
  return bundle === undefined ? '' : createHash('sha256').update(encodeSpiffeBundle(bundle)).digest('hex');
}
