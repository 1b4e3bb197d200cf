// X.509 authorities: made by ourselves or by the upstream, proven by a probe, published in the bundle, remembered in the journal.
import { createCsr } from '../../pki/csr.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { issueSelfSignedCa, issueX509Svid, notBeforeCushionMs } from '../../pki/issue.ts';
import { subjectKeyIdOf } from '../../pki/key-id.ts';
import { encodePublicKey } from '../../pki/public-key.ts';
import { createSerialNumber, serialNumberText } from '../../pki/serial-number.ts';
import { verifyChain } from '../../pki/verify-chain.ts';
import { verifyX509Svid } from '../../pki/x509-svid.ts';
import type { X509Authority } from '../../spiffe/bundle.ts';
import { createSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { ManagedKey } from '../keys/key-manager.ts';
import { publish } from './authority-context.ts';
import type { AuthorityContext } from './authority-context.ts';
import { AuthorityError } from './authority.ts';
import type { CaSubject } from './authority.ts';
import type { Journal, JournalEntry } from './journal.ts';
import { checkAuthorityLifetime, checkRemainingLifetime } from './lifetime.ts';
import { placeOrphans, placeRestored } from './restore.ts';
import type { AuthorityKind, RestoredSlots } from './rotation.ts';
import { hexOf, x509KeyId } from './slot.ts';
import type { SlotName, X509Slot } from './slot.ts';
import { x509AuthorityId } from '../store/bundle-changes.ts';
import type { Vouching } from './vouching.ts';

const defaultSubject: CaSubject = { country: 'US', organization: 'SPIFFE' };

export function createX509Authorities(
  context: AuthorityContext,
  { journal, vouching }: { readonly journal: Journal; readonly vouching: Vouching<X509Slot> },
): AuthorityKind<X509Slot> {
  const { trustDomain, store, keys, upstream, config, log, clock, intend, faultPoint } = context;
  const refuseWithUpstream = (act: string): void => {
    if (upstream === undefined) return;
    throw new AuthorityError('HAS_UPSTREAM', `local authority can't be ${act} if there is an upstream authority`);
  };
  return {
    ...vouching,
    name: 'x509',
    label: 'X509 CA',
    async mint(name) {
      const key = await keys.generateKey(x509KeyId(name), config.caKeyType);
      await faultPoint?.('x509.prepare.keyGenerated');
      const issuedAt = clock();
      const serialNumber = createSerialNumber();
      const isDone = await intend({
        kind: 'x509-ca',
        authorityId: hexOf(subjectKeyIdOf(encodePublicKey(key.publicKey))),
        issuerId: '',
        requestedBy: '',
        // An upstream chooses its own.
        ...(upstream === undefined ? { serialNumber: serialNumberText(serialNumber) } : {}),
        expiresAt: Math.floor((issuedAt + config.caTtl) / 1000),
      });
      await faultPoint?.('x509.prepare.intended');
      const minted = upstream === undefined ? signSelf(context, key, serialNumber) : await signAbove(context, key);
      const slot = createSlot({ name, key, issuedAt, hasUpstream: upstream !== undefined, now: issuedAt, ...minted });
      checkAuthorityLifetime(slot, config, log);
      probe(slot, minted.roots, context);
      refuseTainted(slot, minted.roots, context);
      await faultPoint?.('x509.prepare.made');
      await publish(context, { x509Authorities: minted.roots });
      await isDone();
      await faultPoint?.('x509.prepare.published');
      return slot;
    },
    remember: (slots) =>
      journal.note(
        'x509',
        slots.map(([slot, status]) => ({ ...entryOf(slot), status })),
      ),
    async taint(authorityId) {
      refuseWithUpstream('tainted');
      await store.taintX509Authority(trustDomain.name, authorityId);
    },
    async revoke(authorityId) {
      refuseWithUpstream('revoked');
      await store.revokeX509Authority(trustDomain.name, authorityId);
    },
    // An intermediate is in no bundle.
    async withdraw({ authorityId }) {
      if (upstream === undefined) await store.withdrawX509Authority(trustDomain.name, authorityId);
    },
    forget: ({ authorityId }) => journal.forget('x509', authorityId),
    checkRemaining(slot) {
      checkRemainingLifetime('X.509 authority', slot, { now: clock(), svidTtl: config.x509SvidTtl });
    },
  };
}

/** An upstream may still sign under what was tainted: such a CA would be tainted from its first day. */
function refuseTainted(slot: X509Slot, roots: readonly X509Authority[], { live }: AuthorityContext): void {
  const isRoot = (held: X509Authority): boolean => x509AuthorityId(held) === slot.upstreamAuthorityId;
  const isTainted = [...roots, ...live.current().x509Authorities].some((held) => held.tainted === true && isRoot(held));
  if (!isTainted) return;
  const under = slot.upstreamAuthorityId ?? '';
  throw new AuthorityError('UPSTREAM_UNAVAILABLE', `the upstream authority signed under ${under}, which is tainted`);
}

interface Minted {
  readonly chain: readonly Certificate[];
  readonly roots: readonly X509Authority[];
}

function signSelf({ config, trustDomain, clock }: AuthorityContext, key: ManagedKey, serialNumber: Uint8Array): Minted {
  const certificate = issueSelfSignedCa({
    signer: key.signer,
    serialNumber,
    subject: { ...(config.caSubject ?? defaultSubject) },
    spiffeId: createSpiffeId(trustDomain, ''),
    notBefore: clock() - notBeforeCushionMs,
    notAfter: clock() + config.caTtl,
  });
  return { chain: [certificate], roots: [{ asn1: certificate.der }] };
}

async function signAbove(context: AuthorityContext, key: ManagedKey): Promise<Minted> {
  const { upstream, config, trustDomain, signal } = context;
  if (upstream === undefined) throw new AuthorityError('NO_UPSTREAM', 'there is no upstream authority');
  const subject = { ...(config.caSubject ?? defaultSubject) };
  const csr = createCsr({ signer: key.signer, spiffeId: createSpiffeId(trustDomain, ''), subject });
  const minted = await upstream.mintX509Ca(csr, config.caTtl, signal);
  if (minted.chain[0]?.publicKey.equals(key.publicKey) === true) return minted;
  throw new AuthorityError('INVALID', `upstream ${upstream.name} signed another key than ours`);
}

interface SlotParts extends Minted {
  readonly name: SlotName;
  readonly key: ManagedKey;
  readonly issuedAt: number;
  readonly hasUpstream: boolean;
  readonly now: number;
}

/** Throws what path validation meets: our CA must stand under one of the roots. */
function createSlot({ name, key, issuedAt, chain, roots, hasUpstream, now }: SlotParts): X509Slot {
  const [certificate, ...above] = chain;
  if (certificate === undefined) throw new AuthorityError('INVALID', 'X.509 authority came without a certificate');
  const anchors = roots.map(({ asn1 }) => parseCertificate(asn1));
  const root = verifyChain({ leaf: certificate, intermediates: above, roots: anchors, now }).at(-1);
  const authorityId = hexOf(certificate.subjectKeyId);
  const slot = { name, key, issuedAt, certificate, authorityId, notAfter: certificate.notAfter };
  if (!hasUpstream || root === undefined) return { ...slot, intermediates: [] };
  return { ...slot, intermediates: chain, upstreamAuthorityId: x509AuthorityId({ asn1: root.der }) };
}

/** A throwaway leaf shows that whoever holds the bundle will accept what this authority signs. */
function probe(slot: X509Slot, roots: readonly X509Authority[], { trustDomain, clock }: AuthorityContext): void {
  const now = clock();
  const leaf = issueX509Svid({
    issuer: { certificate: slot.certificate, signer: slot.key.signer },
    publicKey: slot.key.publicKey,
    spiffeId: createSpiffeId(trustDomain, '/for/validation/only'),
    notBefore: now - notBeforeCushionMs,
    notAfter: Math.min(now + 60_000, slot.notAfter),
  });
  const chain = [leaf, ...slot.intermediates].map(({ der }) => der);
  verifyX509Svid({ chain, roots: roots.map(({ asn1 }) => asn1), now, trustDomain });
}

function entryOf(slot: X509Slot): Omit<JournalEntry, 'status'> {
  const { name, authorityId, issuedAt, notAfter, upstreamAuthorityId, certificate, intermediates } = slot;
  const chain = intermediates.length > 0 ? intermediates : [certificate];
  const encoded = chain.map(({ der }) => Buffer.from(der).toString('base64'));
  const entry = { slot: name, authorityId, issuedAt, notAfter, chain: encoded };
  return upstreamAuthorityId === undefined ? entry : { ...entry, upstreamAuthorityId };
}

/** The slots of the time before the restart, as far as their keys are here and the bundle vouches for them. */
export function restoreX509Slots(
  context: AuthorityContext,
  { journal, vouching }: { readonly journal: Journal; readonly vouching: Vouching<X509Slot> },
): RestoredSlots<X509Slot> {
  const { log, live } = context;
  const roots = live.current().x509Authorities;
  const usable = (entry: JournalEntry): X509Slot[] => {
    try {
      return [restoreSlot(context, entry, roots)];
    } catch (error) {
      log.warn({ err: error, authority_id: entry.authorityId }, 'X.509 CA of the journal is not usable');
      return [];
    }
  };
  const entries = journal.entries('x509');
  const known = entries.flatMap((entry) => usable(entry).map((slot) => [slot, entry.status] as const));
  return placeRestored([...placeOrphans(orphans(context, entries)), ...known], vouching);
}

/** Published before the process ended, and not in the journal yet: the key is here and the bundle vouches for it, so it is ours. */
function orphans(context: AuthorityContext, entries: readonly JournalEntry[]): X509Slot[] {
  const { keys, upstream, live, clock } = context;
  // What an upstream signed stands under a root that was published long before: it is made anew.
  if (upstream !== undefined) return [];
  const roots = live.current().x509Authorities;
  return (['A', 'B'] as const).flatMap((name) => {
    const key = keys.getKey(x509KeyId(name));
    const id = key && hexOf(subjectKeyIdOf(encodePublicKey(key.publicKey)));
    const root = roots.find((held) => x509AuthorityId(held) === id);
    if (key === undefined || root === undefined || entries.some(({ authorityId }) => authorityId === id)) return [];
    const certificate = parseCertificate(root.asn1);
    if (certificate.notAfter <= clock()) return [];
    const issuedAt = certificate.notBefore + notBeforeCushionMs;
    const parts = { name, key, issuedAt, chain: [certificate], roots, hasUpstream: false, now: clock() };
    return [createSlot(parts)];
  });
}

function restoreSlot(
  { keys, upstream, clock }: AuthorityContext,
  entry: JournalEntry,
  roots: readonly X509Authority[],
): X509Slot {
  const chain = (entry.chain ?? []).map((der) => parseCertificate(new Uint8Array(Buffer.from(der, 'base64'))));
  const key = keys.getKey(x509KeyId(entry.slot));
  if (key === undefined || chain[0]?.publicKey.equals(key.publicKey) !== true) {
    throw new AuthorityError('INVALID', 'its key is gone');
  }
  // A self-signed CA in a chain of its own was made before an upstream was configured, and the other way round.
  if ((entry.upstreamAuthorityId !== undefined) !== (upstream !== undefined)) {
    throw new AuthorityError('INVALID', 'it was made with another upstream authority');
  }
  const { slot: name, issuedAt } = entry;
  return createSlot({ name, key, issuedAt, chain, roots, hasUpstream: upstream !== undefined, now: clock() });
}
