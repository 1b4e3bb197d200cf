// Writes down when each authority of our bundle came, was tainted and went: since then, whoever has not heard of it is behind.
import type { Logger } from '../../log.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import { x509AuthorityId } from '../store/bundle-changes.ts';
import type { FleetStore } from '../store/store.ts';

export interface NoteAuthoritiesOptions {
  readonly store: Pick<FleetStore, 'noteAuthorities'>;
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'onBundle'>;
  readonly clock: () => number;
  readonly log: Logger;
}

export interface AuthorityNotes {
  /** Resolves once what this server has seen of the bundle is noted, unless the store is away. */
  settled(): Promise<void>;
  close(): Promise<void>;
}

const retryMs = 1_000;

/** Every server does it, and the first to see a change is the one that counts. Resolves once the present bundle is noted. */
export async function startNotingAuthorities(options: NoteAuthoritiesOptions): Promise<AuthorityNotes> {
  const { store, authority, clock, log } = options;
  let [isClosed, retry] = [false, undefined as NodeJS.Timeout | undefined];
  let noting: Promise<void> = Promise.resolve();

  const note = (): Promise<void> => {
    const bundle = authority.bundle();
    return store.noteAuthorities(authoritiesOf(bundle), bundle.sequenceNumber, clock());
  };
  /** One after another; the last one notes the last bundle. */
  const noteSoon = (): void => {
    clearTimeout(retry);
    noting = noting.then(note).catch((error: unknown) => {
      if (isClosed) return; // the store is closed as well, and nobody asks any more
      log.warn({ err: error }, 'cannot note the authorities of the bundle, trying again');
      retry = setTimeout(noteSoon, retryMs);
    });
  };

  const stop = authority.onBundle(noteSoon);
  try {
    await note();
  } catch (error) {
    stop();
    throw error;
  }
  return {
    settled: () => noting,
    async close() {
      isClosed = true;
      stop();
      clearTimeout(retry);
      await noting;
    },
  };
}

/** All of a bundle's, of both kinds. */
export function authoritiesOf({ x509Authorities, jwtAuthorities }: TrustBundle) {
  return [
    ...x509Authorities.map((held) => ({
      kind: 'x509' as const,
      authorityId: x509AuthorityId(held),
      tainted: held.tainted === true,
    })),
    ...jwtAuthorities.map(({ keyId, tainted = false }) => ({ kind: 'jwt' as const, authorityId: keyId, tainted })),
  ];
}
