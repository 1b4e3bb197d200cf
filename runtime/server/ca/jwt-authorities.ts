// JWT authorities: keys that are published, upstream first and then in our bundle, before anything is signed with them.
import { randomBytes } from 'node:crypto';
import { encodePublicKey } from '../../pki/public-key.ts';
import type { JwtAuthority } from '../../spiffe/bundle.ts';
import type { ManagedKey } from '../keys/key-manager.ts';
import { publish } from './authority-context.ts';
import type { AuthorityContext } from './authority-context.ts';
import type { Journal, JournalEntry } from './journal.ts';
import { checkRemainingLifetime } from './lifetime.ts';
import { placeOrphans, placeRestored } from './restore.ts';
import type { AuthorityKind, RestoredSlots } from './rotation.ts';
import { jwtKeyId } from './slot.ts';
import type { JwtSlot } from './slot.ts';
import type { Vouching } from './vouching.ts';

const publishTimeoutMs = 5_000;

export function createJwtAuthorities(
  context: AuthorityContext,
  { journal, vouching }: { readonly journal: Journal; readonly vouching: Vouching<JwtSlot> },
): AuthorityKind<JwtSlot> {
  const { trustDomain, store, keys, config, clock, intend, faultPoint } = context;
  return {
    ...vouching,
    name: 'jwt',
    label: 'JWT key',
    async mint(name) {
      const key = await keys.generateKey(jwtKeyId(name), config.jwtKeyType);
      await faultPoint?.('jwt.prepare.keyGenerated');
      const issuedAt = clock();
      const slot: JwtSlot = { name, key, issuedAt, notAfter: issuedAt + config.caTtl, authorityId: randomKeyId() };
      const isDone = await intend({
        kind: 'jwt-key',
        authorityId: slot.authorityId,
        issuerId: '',
        requestedBy: '',
        expiresAt: Math.floor(slot.notAfter / 1000),
      });
      await faultPoint?.('jwt.prepare.intended');
      await faultPoint?.('jwt.prepare.made');
      await publishJwtAuthority(context, {
        keyId: slot.authorityId,
        publicKey: encodePublicKey(key.publicKey),
        expiresAt: Math.floor(slot.notAfter / 1000),
      });
      await isDone();
      await faultPoint?.('jwt.prepare.published');
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
    async withdraw({ authorityId }) {
      await store.withdrawJwtAuthority(trustDomain.name, authorityId);
    },
    forget: ({ authorityId }) => journal.forget('jwt', authorityId),
    checkRemaining(slot) {
      checkRemainingLifetime('JWT authority', slot, { now: clock(), svidTtl: config.jwtSvidTtl });
    },
  };
}

/** Fails when the upstream cannot be told: a key unknown above is not used below. */
export async function publishJwtAuthority(context: AuthorityContext, authority: JwtAuthority): Promise<void> {
  const { upstream, signal } = context;
  const timeout = AbortSignal.any([signal, AbortSignal.timeout(publishTimeoutMs)]);
  const fromAbove = (await upstream?.publishJwtAuthority?.(authority, timeout)) ?? [];
  await publish(context, { jwtAuthorities: [...fromAbove, authority] });
}

/** SPIRE's warning, given once. */
export function warnWithoutJwtUpstream({ upstream, log }: Pick<AuthorityContext, 'upstream' | 'log'>): void {
  if (upstream === undefined || upstream.publishJwtAuthority !== undefined) return;
  log.warn(
    { plugin_name: upstream.name },
    'UpstreamAuthority plugin does not support JWT-SVIDs. Workloads managed by this server may have trouble communicating with workloads outside this cluster when using JWT-SVIDs.',
  );
}

/** As with X.509: the key must be here, the bundle must have it, and its time must not be over. */
export function restoreJwtSlots(
  context: AuthorityContext,
  { journal, vouching }: { readonly journal: Journal; readonly vouching: Vouching<JwtSlot> },
): RestoredSlots<JwtSlot> {
  const { keys, clock, live, config } = context;
  const published = live.current().jwtAuthorities;
  const entries = journal.entries('jwt');
  const usable = ({ slot: name, authorityId, issuedAt, notAfter }: JournalEntry): JwtSlot[] => {
    const key = keys.getKey(jwtKeyId(name));
    const held = published.find(({ keyId }) => keyId === authorityId);
    if (key === undefined || held === undefined || notAfter <= clock() || !isKeyOf(held, key)) return [];
    return [{ name, key, issuedAt, notAfter, authorityId }];
  };
  /** Published before the process ended, and not in the journal yet. */
  const orphans = (['A', 'B'] as const).flatMap((name) => {
    const key = keys.getKey(jwtKeyId(name));
    const held = key && published.find((one) => isKeyOf(one, key));
    if (held === undefined || entries.some(({ authorityId }) => authorityId === held.keyId)) return [];
    const notAfter = held.expiresAt * 1000;
    const issuedAt = notAfter - config.caTtl;
    return usable({ slot: name, authorityId: held.keyId, issuedAt, notAfter, status: 'prepared' });
  });
  const known = entries.flatMap((entry) => usable(entry).map((slot) => [slot, entry.status] as const));
  return placeRestored([...placeOrphans(orphans), ...known], vouching);
}

function isKeyOf({ publicKey }: JwtAuthority, key: ManagedKey): boolean {
  return Buffer.from(publicKey).equals(encodePublicKey(key.publicKey));
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
