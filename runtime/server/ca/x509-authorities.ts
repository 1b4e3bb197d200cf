// X.509 authorities: made by ourselves or by the upstream, proven by a probe, published in the bundle, remembered in the journal.
import { createCsr } from '../../pki/csr.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { issueSelfSignedCa, issueX509Svid, notBeforeCushionMs } from '../../pki/issue.ts';
import { verifyChain } from '../../pki/verify-chain.ts';
import { verifyX509Svid } from '../../pki/x509-svid.ts';
import { emptyBundle } from '../../spiffe/bundle.ts';
import type { TrustBundle, X509Authority } from '../../spiffe/bundle.ts';
import { createSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { ManagedKey } from '../keys/key-manager.ts';
import type { AuthorityContext } from './authority-context.ts';
import { AuthorityError } from './authority.ts';
import type { CaSubject } from './authority.ts';
import type { Journal, JournalEntry } from './journal.ts';
import { checkAuthorityLifetime } from './lifetime.ts';
import type { AuthorityKind, RestoredSlots } from './rotation.ts';
import { hexOf, x509KeyId } from './slot.ts';
import type { SlotName, X509Slot } from './slot.ts';

const defaultSubject: CaSubject = { country: 'US', organization: 'SPIFFE' };

export function createX509Authorities(context: AuthorityContext, journal: Journal): AuthorityKind<X509Slot> {
  const { trustDomain, store, keys, upstream, config, log, clock } = context;
  const refuseWithUpstream = (act: string): void => {
    if (upstream === undefined) return;
    throw new AuthorityError('HAS_UPSTREAM', `local authority can't be ${act} if there is an upstream authority`);
  };
  return {
    label: 'X.509 CA',
    async mint(name) {
      const key = await keys.generateKey(x509KeyId(name), config.caKeyType);
      const issuedAt = clock();
      const { chain, roots } = upstream === undefined ? signSelf(context, key) : await signAbove(context, key);
      const slot = createSlot(name, key, issuedAt, chain, upstream !== undefined);
      checkAuthorityLifetime(slot, config, log);
      probe(slot, roots, context);
      await store.appendBundle({ ...emptyBundle(trustDomain), x509Authorities: roots });
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
  };
}

interface Minted {
  readonly chain: readonly Certificate[];
  readonly roots: readonly X509Authority[];
}

function signSelf({ config, trustDomain, clock }: AuthorityContext, key: ManagedKey): Minted {
  const certificate = issueSelfSignedCa({
    signer: key.signer,
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

function createSlot(
  name: SlotName,
  key: ManagedKey,
  issuedAt: number,
  chain: readonly Certificate[],
  hasUpstream: boolean,
): X509Slot {
  const [certificate] = chain;
  if (certificate === undefined) throw new AuthorityError('INVALID', 'X.509 authority came without a certificate');
  const authorityId = hexOf(certificate.subjectKeyId);
  const slot = { name, key, issuedAt, certificate, authorityId, notAfter: certificate.notAfter };
  if (!hasUpstream) return { ...slot, intermediates: [] };
  return { ...slot, intermediates: chain, upstreamAuthorityId: hexOf(chain.at(-1)?.authorityKeyId) };
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
  journal: Journal,
  bundle: TrustBundle | undefined,
): RestoredSlots<X509Slot> {
  const roots = (bundle?.x509Authorities ?? []).map(({ asn1 }) => parseCertificate(asn1));
  const usable = (entry: JournalEntry): X509Slot | undefined => {
    try {
      return restoreSlot(context, entry, roots);
    } catch (error) {
      context.log.warn({ err: error, authority_id: entry.authorityId }, 'X.509 CA of the journal is not usable');
      return undefined;
    }
  };
  const newest = (status: JournalEntry['status']) =>
    journal
      .entries('x509')
      .filter((entry) => entry.status === status)
      .map(usable)
      .findLast((slot) => slot !== undefined);
  return { active: newest('active'), prepared: newest('prepared'), old: newest('old') };
}

function restoreSlot(
  { keys, upstream, clock }: AuthorityContext,
  entry: JournalEntry,
  roots: readonly Certificate[],
): X509Slot {
  const chain = (entry.chain ?? []).map((der) => parseCertificate(new Uint8Array(Buffer.from(der, 'base64'))));
  const key = keys.getKey(x509KeyId(entry.slot));
  const [certificate, ...above] = chain;
  if (key === undefined || certificate?.publicKey.equals(key.publicKey) !== true) {
    throw new AuthorityError('INVALID', 'its key is gone');
  }
  // A self-signed CA in a chain of its own was made before an upstream was configured, and the other way round.
  if ((entry.upstreamAuthorityId !== undefined) !== (upstream !== undefined)) {
    throw new AuthorityError('INVALID', 'it was made with another upstream authority');
  }
  verifyChain({ leaf: certificate, intermediates: above, roots, now: clock() });
  return createSlot(entry.slot, key, entry.issuedAt, chain, upstream !== undefined);
}
