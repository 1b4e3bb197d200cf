// Keeps what a tier has registered and what its servers sign with, a file for each time, and says what is missing since. Nothing in it is secret: JSON
// lines, the first of which says what follows, whole or not there at all.
import { createReadStream, existsSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Entry, EntryMask } from '../../proto/gen/spire/api/types/entry.ts';
import { eachPage } from '../clients/pages.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { failure } from '../failures.ts';
import type { ServerAuthorities } from '../trust/rotation.ts';
import type { AuthorityDifference, EntryDifference, TrustSnapshot } from './runbook.ts';

interface Head {
  readonly trustDomain: string;
  readonly tier: string;
  /** RFC 3339. */
  readonly takenAt: string;
  readonly authorities: readonly ServerAuthorities[];
}

export interface SnapshotPlace {
  readonly directory: string;
  readonly trustDomain: string;
  readonly tier: string;
}

/** Two days of hourly ones. */
const mostKept = 48;
const pageSize = 1_000;
const batchSize = 100;
const mostNamed = 20;
const [ok, alreadyExists] = [0, 6];

export async function takeSnapshot(
  place: SnapshotPlace,
  server: SpireServer,
  authorities: readonly ServerAuthorities[],
  now: number,
): Promise<TrustSnapshot> {
  const { directory, trustDomain, tier } = place;
  const takenAt = new Date(now).toISOString();
  const file = join(directory, `${prefixOf(place)}${takenAt.replaceAll(':', '-')}.jsonl`);
  await mkdir(directory, { recursive: true });
  const writing = await open(`${file}.new`, 'w', 0o600);
  let entries = 0;
  try {
    const head: Head = { trustDomain, tier, takenAt, authorities };
    await writing.write(`${JSON.stringify(head)}\n`);
    for await (const page of listEntries(server)) {
      entries += page.length;
      await writing.write(page.map(lineOf).join(''));
    }
    await writing.sync();
  } finally {
    await writing.close();
  }
  await rename(`${file}.new`, file);
  const old = (await listSnapshots(place)).slice(0, -mostKept);
  await Promise.all(old.map((name) => rm(join(directory, name), { force: true })));
  return { tier, file, entries };
}

export async function compareEntries(place: SnapshotPlace, server: SpireServer): Promise<EntryDifference> {
  const ids = await entryIds(server);
  const file = (await listSnapshots(place)).at(-1);
  if (file === undefined) return { before: 0, now: ids.size, missing: 0, examples: [] };
  const { takenAt, before, missing } = await findMissing(place, file, ids);
  const examples = missing.slice(0, mostNamed).map(nameOf);
  return { snapshot: file, takenAt, before, now: ids.size, missing: missing.length, examples };
}

/** What was taken away on purpose since comes back, too: that is why somebody has to approve it. */
export async function restoreEntries(place: SnapshotPlace, server: SpireServer, file: string): Promise<number> {
  const { missing } = await findMissing(place, file, await entryIds(server));
  const refused: string[] = [];
  let restored = 0;
  for (let from = 0; from < missing.length; from += batchSize) {
    const entries = missing.slice(from, from + batchSize);
    const { results } = await server.entry.batchCreateEntry({ entries, outputMask: EntryMask.create() });
    for (const [index, { status }] of results.entries()) {
      if (status?.code === ok) restored += 1;
      else if (status?.code !== alreadyExists)
        refused.push(`${nameOf(entries[index])}: ${status?.message ?? 'no answer'}`);
    }
  }
  if (refused.length === 0) return restored;
  const named = refused.slice(0, mostNamed).join('; ');
  throw failure('TrustViolation', `${restored} entries were restored and ${refused.length} were refused: ${named}`);
}

export async function compareAuthorities(
  place: SnapshotPlace,
  authorities: readonly ServerAuthorities[],
): Promise<AuthorityDifference> {
  const file = (await listSnapshots(place)).at(-1);
  const head = file === undefined ? undefined : await readSnapshot(place, file);
  const servers = authorities.map(({ server, active }) => {
    const before = head?.authorities.find((one) => one.server.name === server.name)?.active;
    return { server, now: active, ...(before === undefined ? {} : { before }) };
  });
  return { servers, ...(head === undefined ? {} : { takenAt: head.takenAt }) };
}

async function entryIds(server: SpireServer): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for await (const page of listEntries(server)) for (const { id } of page) ids.add(id);
  return ids;
}

/** Entries of the snapshot that are not among those. */
async function findMissing(place: SnapshotPlace, file: string, ids: ReadonlySet<string>) {
  const missing: Entry[] = [];
  let before = 0;
  const { takenAt } = await readSnapshot(place, file, (entry) => {
    before += 1;
    if (!ids.has(entry.id)) missing.push(entry);
  });
  return { takenAt, before, missing };
}

async function* listEntries({ entry }: SpireServer): AsyncGenerator<Entry[]> {
  const ask = (pageToken: string) =>
    entry.listEntries({ pageSize, pageToken, filter: undefined, outputMask: undefined });
  for await (const { entries } of eachPage(ask)) yield entries;
}

/** Oldest first. */
async function listSnapshots(place: SnapshotPlace): Promise<string[]> {
  const prefix = prefixOf(place);
  if (!existsSync(place.directory)) return [];
  const names = await readdir(place.directory);
  return names.filter((name) => name.startsWith(prefix) && name.endsWith('.jsonl')).toSorted();
}

/** Trust domains and tiers have no spaces, and neither has what is made of them here. */
function prefixOf({ trustDomain, tier }: SnapshotPlace): string {
  return `snapshot ${trustDomain} ${tier} `;
}

/** Its head; where nobody takes the entries, they are not read. */
async function readSnapshot(
  { directory, trustDomain, tier }: SnapshotPlace,
  file: string,
  take?: (entry: Entry) => void,
): Promise<Head> {
  if (file.includes('/')) throw failure('InvalidRequest', `a snapshot is named without its folder: ${file}`);
  let head: Head | undefined;
  const input = createReadStream(join(directory, file), 'utf8');
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      if (head !== undefined) take?.(entryOf(line));
      else head = JSON.parse(line) as Head;
      if (take === undefined) break;
    }
  } finally {
    input.destroy();
  }
  if (head?.trustDomain !== trustDomain || head.tier !== tier)
    throw failure('InvalidRequest', `snapshot ${file} is not of tier ${tier} of ${trustDomain}`);
  return head;
}

/** The IDs are for whoever reads the file; the entry itself is whole. */
function lineOf(entry: Entry): string {
  const wire = Buffer.from(Entry.encode(entry).finish()).toString('base64');
  return `${JSON.stringify({ id: entry.id, spiffeId: nameOf(entry), entry: wire })}\n`;
}

function entryOf(line: string): Entry {
  const { entry } = JSON.parse(line) as { readonly entry: string };
  return Entry.decode(Buffer.from(entry, 'base64'));
}

function nameOf(entry: Entry | undefined): string {
  const { trustDomain = '', path = '' } = entry?.spiffeId ?? {};
  return `spiffe://${trustDomain}${path}`;
}
