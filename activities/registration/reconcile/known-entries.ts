// The server's entries as this process knows them: listed now and then, and in between kept by what it has done itself. A change of one pod then costs the
// server one call, and what somebody else does to the entries is seen at the next list.
import type { CurrentEntry, WantedEntry } from '../entries/wanted-entry.ts';
import type { RegistrationServer } from './ports.ts';

export interface KnownEntries {
  list(): Promise<readonly CurrentEntry[]>;
  put(id: string, entry: WantedEntry): void;
  drop(id: string): void;
  /** The next list is the server's. */
  forget(): void;
}

export interface KnownEntriesOptions {
  readonly server: Pick<RegistrationServer, 'listEntries'>;
  readonly relistMs: number;
  readonly clock: () => number;
}

export function createKnownEntries({ server, relistMs, clock }: KnownEntriesOptions): KnownEntries {
  let known: Map<string, CurrentEntry> | undefined;
  let listedAt = 0;
  return {
    async list() {
      if (known === undefined || clock() - listedAt >= relistMs) {
        const entries = await server.listEntries();
        known = new Map(entries.map((entry) => [entry.id, entry]));
        listedAt = clock();
      }
      return [...known.values()];
    },
    put: (id, entry) => void known?.set(id, { ...entry, id }),
    drop: (id) => void known?.delete(id),
    forget: () => void (known = undefined),
  };
}
