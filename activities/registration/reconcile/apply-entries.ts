// Does what a plan of entries says, in batches: what is new comes before what goes, so that a workload whose ID changes is never without one.
import { newEntryId } from '../entries/ownership.ts';
import type { EntryPlan } from '../entries/plan-entries.ts';
import { nameOf } from '../entries/wanted-entry.ts';
import type { DeclaredEntry } from '../entries/wanted-entry.ts';
import type { KnownEntries } from './known-entries.ts';
import type { ItemOutcome, RegistrationServer, Say } from './ports.ts';
import type { Retries } from './retries.ts';

export interface Applying {
  readonly server: RegistrationServer;
  readonly known: KnownEntries;
  readonly retries: Retries;
  readonly entryIdPrefix: string;
  readonly createUuid: () => string;
  readonly say: Say;
}

export interface Applied {
  readonly created: number;
  readonly updated: number;
  readonly removed: number;
  readonly failed: readonly DeclaredEntry[];
}

const batchSize = 500;
/** The server writes one batch while it reads the next. */
const atOnce = 3;

export async function applyEntries(
  plan: Pick<EntryPlan, 'create' | 'update' | 'remove'>,
  { server, known, retries, entryIdPrefix, createUuid, say }: Applying,
): Promise<Applied> {
  const failed: DeclaredEntry[] = [];
  const judge = (one: DeclaredEntry & { readonly id: string }, outcome: ItemOutcome, act: string): boolean => {
    if (outcome.code === 'ok') {
      retries.succeeded(one.entry.key);
      known.put(one.id, one.entry);
      return true;
    }
    // Somebody was there before, or took it away: the next list says how it is.
    if (outcome.code !== 'failed') known.forget();
    retries.failed(one.entry.key);
    failed.push(one);
    const fields = { spiffeId: one.entry.spiffeId, by: nameOf(one.by), reason: outcome.message };
    say('error', `entry was not ${act}`, fields);
    return false;
  };
  const due = <T extends DeclaredEntry>(list: readonly T[]): T[] =>
    list.filter((one) => {
      if (retries.isDue(one.entry.key)) return true;
      failed.push(one);
      return false;
    });

  const create = due(plan.create).map((one) => ({
    ...one,
    id: newEntryId(entryIdPrefix, one.by.cluster, createUuid()),
  }));
  const created = await inBatches(
    create,
    (batch) => server.createEntries(batch.map(withId)),
    (one, outcome) => judge(one, outcome, 'created'),
  );
  const update = due(plan.update);
  const updated = await inBatches(
    update,
    (batch) => server.updateEntries(batch.map(withId)),
    (one, outcome) => judge(one, outcome, 'updated'),
  );
  const removed = await inBatches(
    plan.remove,
    (batch) => server.deleteEntries(batch.map(({ id }) => id)),
    ({ id, spiffeId }, { code, message }) => {
      if (code === 'ok' || code === 'not found') {
        known.drop(id);
        return true;
      }
      say('error', 'entry was not deleted', { id, spiffeId, reason: message });
      return false;
    },
  );
  return { created, updated, removed, failed };
}

const withId = ({ entry, id }: DeclaredEntry & { readonly id: string }) => ({ ...entry, id });

/** How many went well. */
async function inBatches<T>(
  items: readonly T[],
  send: (batch: readonly T[]) => Promise<ItemOutcome[]>,
  judge: (item: T, outcome: ItemOutcome) => boolean,
): Promise<number> {
  const batches: (readonly T[])[] = [];
  for (let from = 0; from < items.length; from += batchSize) batches.push(items.slice(from, from + batchSize));
  let good = 0;
  const sender = async (): Promise<void> => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      const outcomes = await send(batch);
      for (const [place, item] of batch.entries()) {
        const outcome = outcomes[place] ?? { code: 'failed', message: 'the server gave no answer' };
        if (judge(item, outcome)) good += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, sender));
  return good;
}
