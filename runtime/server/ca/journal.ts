// What a server remembers of its authorities across restarts: it lies in the store, certificates and key ids only, and is found again by a key that it names.
import { z } from 'zod';
import type { Logger } from '../../log.ts';
import { subjectKeyIdOf } from '../../pki/key-id.ts';
import { encodePublicKey } from '../../pki/public-key.ts';
import type { KeyManager } from '../keys/key-manager.ts';
import type { CaJournalRecord } from '../store/records.ts';
import type { CaJournalStore } from '../store/store.ts';
import { hexOf, x509KeyId } from './slot.ts';

const entrySchema = z.object({
  slot: z.enum(['A', 'B']),
  status: z.enum(['prepared', 'active', 'old']),
  authorityId: z.string(),
  issuedAt: z.number(),
  notAfter: z.number(),
  upstreamAuthorityId: z.string().optional(),
  /** X.509 only: our CA certificate and those above it without the root, DER in base64. */
  chain: z.array(z.base64()).optional(),
});
const journalSchema = z.object({ x509: z.array(entrySchema), jwt: z.array(entrySchema) });

export type JournalEntry = z.infer<typeof entrySchema>;
export type JournalKind = 'x509' | 'jwt';

export interface Journal {
  /** The newest last. */
  entries(kind: JournalKind): readonly JournalEntry[];
  /** Replaces what it says of the same authority. A failure is logged only: signing matters more than remembering. */
  note(kind: JournalKind, entries: readonly JournalEntry[]): Promise<void>;
  /** A failure is logged only, as the bundle decides. */
  forget(kind: JournalKind, authorityId: string): Promise<void>;
  /** Tries again what could not be saved. */
  flush(): Promise<void>;
}

const maxEntries = 10;

export interface JournalOptions {
  readonly store: CaJournalStore;
  readonly keys: KeyManager;
  readonly log: Logger;
}

export async function openJournal({ store, keys, log }: JournalOptions): Promise<Journal> {
  let record = await findRecord(store, keys);
  const known = parseJournal(record?.data, log);
  let isSaved = true;

  const save = async (): Promise<void> => {
    const activeOf = (kind: JournalKind) =>
      known[kind].findLast(({ status }) => status === 'active')?.authorityId ?? '';
    const [activeX509AuthorityId, activeJwtAuthorityId] = [activeOf('x509'), activeOf('jwt')];
    // Until an authority is active there is nothing to find the journal by.
    if (activeX509AuthorityId === '') return;
    const data = JSON.stringify(known);
    const expiresAt = Math.ceil(Math.max(...[...known.x509, ...known.jwt].map(({ notAfter }) => notAfter)) / 1000);
    record = await store.saveCaJournal({
      id: record?.id ?? 0,
      activeX509AuthorityId,
      activeJwtAuthorityId,
      data,
      expiresAt,
    });
  };

  const saveOrLog = async (): Promise<void> => {
    isSaved = false;
    try {
      await save();
      isSaved = true;
    } catch (error) {
      log.error({ err: error }, 'cannot save the CA journal');
    }
  };

  return {
    entries: (kind) => known[kind],
    async note(kind, entries) {
      const changed = new Set(entries.map(({ authorityId }) => authorityId));
      const noted = [...known[kind].filter(({ authorityId }) => !changed.has(authorityId)), ...entries];
      // The active one stays, however many were prepared after it: the journal is found by it.
      const active = noted.findLast(({ status }) => status === 'active');
      known[kind] = noted.filter((entry, i) => entry === active || i >= noted.length - maxEntries);
      await saveOrLog();
    },
    async forget(kind, authorityId) {
      known[kind] = known[kind].filter((entry) => entry.authorityId !== authorityId);
      await saveOrLog();
    },
    async flush() {
      if (!isSaved) await saveOrLog();
    },
  };
}

async function findRecord(store: CaJournalStore, keys: KeyManager): Promise<CaJournalRecord | undefined> {
  for (const slot of ['A', 'B'] as const) {
    const key = keys.getKey(x509KeyId(slot));
    if (key === undefined) continue;
    const record = await store.fetchCaJournal(hexOf(subjectKeyIdOf(encodePublicKey(key.publicKey))));
    if (record !== undefined) return record;
  }
  return undefined;
}

/** A damaged journal leads to new authorities, as none does. */
function parseJournal(data: string | undefined, log: Logger): Record<JournalKind, JournalEntry[]> {
  if (data === undefined) return { x509: [], jwt: [] };
  try {
    return journalSchema.parse(JSON.parse(data));
  } catch (error) {
    log.error({ err: error }, 'CA journal is damaged, starting with new authorities');
    return { x509: [], jwt: [] };
  }
}
