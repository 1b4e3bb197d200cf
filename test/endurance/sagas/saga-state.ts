// What there is to be compared of a story's end: what the world has, what was done to it, and what the report says, without what differs from run to run.
import type { FakeWorld } from '../../fakes/fake-world.ts';

export interface SagaState {
  /** What the world had before, and has now. */
  readonly before: object;
  readonly things: object;
  /** What was done on the way, each as often as it was done. */
  readonly done: unknown;
  readonly report: unknown;
}

export function stateOf(world: FakeWorld, trustDomain: string) {
  const plain = (value: unknown): unknown => plainOf(value, trustDomain);
  const { things: made, troubles, nodes, entries, programs, fleet, expired } = world;
  const { banned, entries: registered, snapshots } = troubles;
  const things = plain({
    things: [...made].toSorted(),
    banned: [...banned].toSorted(),
    registered: [...registered].map(([tier, ids]) => [tier, ids.toSorted()]),
    snapshots: [...snapshots.keys()],
    releases: [...nodes.releases].map(([name, releases]) => [name, releases]).toSorted(),
    isolated: [...nodes.isolated].toSorted(),
    entries: [...entries].map(([id, entry]) => ({ id, ...entry })).toSorted((a, b) => a.id.localeCompare(b.id)),
    programs: [...programs].map(([node, names]) => [node, names.toSorted()]).toSorted(),
    expired: [...expired].toSorted(),
    bundle: [...fleet.bundle].toSorted(),
    authorities: [...fleet.servers].map(([name, { active, prepared }]) => [
      name,
      active.authorityId,
      prepared?.authorityId ?? '',
    ]),
  }) as object;
  const done = plain({ made: [...world.made].toSorted(), effects: fleet.effects.toSorted() });
  return { things, ending: (report: unknown) => ({ things, done, report: plain(report) }) };
}

/** A report may say that a look failed once: that is how it should be, and no other end. */
function withoutStumble(_key: string, value: unknown): unknown {
  return Array.isArray(value) ? value.filter((one) => typeof one !== 'string' || !one.includes('stumbles')) : value;
}

/** Times, durations, digests and the run's own name are no part of what is compared. */
function plainOf(value: unknown, trustDomain: string): unknown {
  const text = JSON.stringify(value ?? null)
    .replaceAll(trustDomain, '<trust domain>')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
    .replaceAll(/espalier-[0-9a-f]{8}(?:-[0-9a-f]{8})?/g, 'espalier-<digest>')
    .replaceAll(/"(seconds|tookSeconds)":[\d.]+/g, '"$1":0')
    .replaceAll(/"(?:file|planDigest|specDigest)":"[^"]*"/g, '"kept":""');
  return JSON.parse(renumbered(text), withoutStumble) as unknown;
}

/** Two servers may prepare their authorities in either order: each one's are numbered from its own first. */
function renumbered(text: string): string {
  const numbers = new Map<string, Set<number>>();
  for (const [, server = '', number] of text.matchAll(/([a-z]+-\d+)#(\d+)/g))
    numbers.set(server, (numbers.get(server) ?? new Set()).add(Number(number)));
  return text.replaceAll(/([a-z]+-\d+)#(\d+)/g, (_, server: string, number: string) => {
    const known = [...(numbers.get(server) ?? [])].toSorted((a, b) => a - b);
    return `${server}#${known.indexOf(Number(number)) + 1}`;
  });
}
