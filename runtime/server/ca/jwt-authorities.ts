// JWT authorities: keys that are published, upstream first and then in our bundle, before anything is signed with them.
import { randomBytes } from 'node:crypto';
import { encodePublicKey } from '../../pki/public-key.ts';
import { emptyBundle } from '../../spiffe/bundle.ts';
import type { JwtAuthority, TrustBundle } from '../../spiffe/bundle.ts';
import type { AuthorityContext } from './authority-context.ts';
import type { Journal, JournalEntry } from './journal.ts';
import type { AuthorityKind, RestoredSlots } from './rotation.ts';
import { jwtKeyId } from './slot.ts';
import type { JwtSlot } from './slot.ts';

const publishTimeoutMs = 5_000;

export function createJwtAuthorities(context: AuthorityContext, journal: Journal): AuthorityKind<JwtSlot> {
  const { trustDomain, store, keys, config, clock } = context;
  return {
    label: 'JWT key',
    async mint(name) {
      const key = await keys.generateKey(jwtKeyId(name), config.jwtKeyType);
      const issuedAt = clock();
      const slot: JwtSlot = { name, key, issuedAt, notAfter: issuedAt + config.caTtl, authorityId: randomKeyId() };
      const expiresAt = Math.floor(slot.notAfter / 1000);
      await publishJwtAuthority(context, {
        keyId: slot.authorityId,
        publicKey: encodePublicKey(key.publicKey),
        expiresAt,
      });
      return slot;
    },
    remember: (slots) =>
      journal.note(
        'jwt',
        slots.map(([slot, status]) => ({
          slot: slot.name,
          status,
          authorityId: slot.authorityId,
          issuedAt: slot.issuedAt,
          notAfter: slot.notAfter,
        })),
      ),
    async taint(authorityId) {
      await store.taintJwtAuthority(trustDomain.name, authorityId);
    },
    async revoke(authorityId) {
      await store.revokeJwtAuthority(trustDomain.name, authorityId);
    },
  };
}

/** Returns the bundle that has it. Fails when the upstream cannot be told: a key unknown above is not used below. */
export async function publishJwtAuthority(context: AuthorityContext, authority: JwtAuthority): Promise<TrustBundle> {
  const { upstream, trustDomain, store, signal } = context;
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(publishTimeoutMs)]);
  const fromAbove = (await upstream?.publishJwtAuthority?.(authority, timeout)) ?? [];
  return store.appendBundle({ ...emptyBundle(trustDomain), jwtAuthorities: [...fromAbove, authority] });
}

/** As with X.509: the key must be here, the bundle must have it, and its time must not be over. */
export function restoreJwtSlots(
  context: AuthorityContext,
  journal: Journal,
  bundle: TrustBundle | undefined,
): RestoredSlots<JwtSlot> {
  const { keys, clock } = context;
  const usable = ({ slot: name, authorityId, issuedAt, notAfter }: JournalEntry): JwtSlot | undefined => {
    const key = keys.getKey(jwtKeyId(name));
    const published = bundle?.jwtAuthorities.find(({ keyId }) => keyId === authorityId);
    if (key === undefined || published === undefined || notAfter <= clock()) return undefined;
    if (!Buffer.from(published.publicKey).equals(encodePublicKey(key.publicKey))) return undefined;
    return { name, key, issuedAt, notAfter, authorityId };
  };
  const newest = (status: JournalEntry['status']) =>
    journal
      .entries('jwt')
      .filter((entry) => entry.status === status)
      .map(usable)
      .findLast((slot) => slot !== undefined);
  return { active: newest('active'), prepared: newest('prepared'), old: newest('old') };
}

/** 32 characters, letters and digits, as SPIRE's. */
function randomKeyId(): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
  let id = '';
  while (id.length < 32) {
    for (const byte of randomBytes(32)) {
      // 248 = 4 × 62: what is above would favour the first letters.
      if (byte < 248 && id.length < 32) id += alphabet.charAt(byte % 62);
    }
  }
  return id;
}
