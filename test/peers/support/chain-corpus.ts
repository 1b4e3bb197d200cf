// Chains of X509-SVIDs, good ones and ones with a fault or two at the leaf, above it, or in how they are shown. Made by hand, so that every field can be wrong.
import { encodeOid } from '../../../runtime/pki/der/oid.ts';
import { derNull, element, sequence } from '../../../runtime/pki/der/writer.ts';
import type { DerTree } from '../../../runtime/pki/der/writer.ts';
import { encodeExtension } from '../../../runtime/pki/extensions.ts';
import { generateKeyPairSync } from 'node:crypto';
import { extensionOids, purposeOids } from '../../../runtime/pki/oids.ts';
import { caConstraints, hour, intermediateNamed, leafUnder, now, rootNamed } from '../../runtime/pki/forge.ts';
import type { Authority, Forgery } from '../../runtime/pki/forge.ts';

export interface ChainCase {
  readonly name: string;
  readonly chain: readonly Uint8Array[];
  readonly roots: readonly Uint8Array[];
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const td = 'spiffe://td.test';
const unknownExtension = (critical: boolean): DerTree => encodeExtension('1.3.6.1.4.1.55555.1', critical, derNull());
const nameConstraints = (permitted: string[], excluded: string[] = [], tag = 0x86, critical = true): Forgery => {
  const list = (context: number, names: string[]): Uint8Array[] =>
    names.length === 0 ? [] : [element(context, ...names.map((name) => sequence(element(tag, utf8(name)))))];
  const value = sequence(...list(0xa0, permitted), ...list(0xa1, excluded));
  return { extra: [encodeExtension(extensionOids.nameConstraints, critical, value)] };
};
const spkiOf = (bits: number): Uint8Array =>
  new Uint8Array(generateKeyPairSync('rsa', { modulusLength: bits }).publicKey.export({ type: 'spki', format: 'der' }));
const longUri = (length: number): string => `${td}/${'a'.repeat(length - td.length - 1)}`;

export const leafFaults: Readonly<Record<string, Forgery>> = {
  'as it must be': {},
  'no URI name': { uris: [] },
  'a DNS name and no URI name': { uris: [], dnsNames: ['a.test'] },
  'two URI names': { uris: [`${td}/a`, `${td}/b`] },
  'the same URI name twice': { uris: [`${td}/a`, `${td}/a`] },
  'a URI name and a DNS name': { uris: [`${td}/a`], dnsNames: ['a.test'] },
  'an https name': { uris: ['https://td.test/a'] },
  'the ID of the trust domain': { uris: [td] },
  'the ID of the trust domain with a slash': { uris: [`${td}/`] },
  'an ID of another trust domain': { uris: ['spiffe://other.test/a'] },
  'a trust domain in upper case': { uris: ['spiffe://TD.test/a'] },
  'a scheme in upper case': { uris: ['SPIFFE://td.test/a'] },
  'a dot segment': { uris: [`${td}/a/../b`] },
  'an escaped dot segment': { uris: [`${td}/a/%2e%2e/b`] },
  'an empty segment': { uris: [`${td}/a//b`] },
  'a query': { uris: [`${td}/a?b`] },
  'a fragment': { uris: [`${td}/a#b`] },
  'a port': { uris: ['spiffe://td.test:80/a'] },
  'user info': { uris: ['spiffe://u@td.test/a'] },
  'an ID of 2,048 bytes': { uris: [longUri(2_048)] },
  'an ID of 2,049 bytes': { uris: [longUri(2_049)] },
  'the CA flag': { basicConstraints: caConstraints() },
  'the right to sign certificates': { keyUsage: ['digitalSignature', 'certSign'] },
  'the right to sign revocation lists': { keyUsage: ['digitalSignature', 'crlSign'] },
  'no key usage': { keyUsage: undefined },
  'a key usage that is not critical': { keyUsageCritical: false },
  'no right to make signatures': { keyUsage: ['keyEncipherment'] },
  'another purpose': { extendedKeyUsage: ['1.3.6.1.5.5.7.3.4'] },
  'the purposes of an SVID': { extendedKeyUsage: [purposeOids.serverAuth, purposeOids.clientAuth] },
  'an end in the past': { notAfter: now - 1_000 },
  'a beginning in the future': { notBefore: now + 1_000 },
  'an end before its beginning': { notBefore: now + hour, notAfter: now - hour },
  'serial number 0': { serialNumber: Uint8Array.of(0) },
  'a negative serial number': { serialNumber: Uint8Array.of(0x80) },
  'a serial number of 20 bytes': { serialNumber: new Uint8Array(20).fill(0x11) },
  'a serial number of 21 bytes': { serialNumber: new Uint8Array(21).fill(0x11) },
  'an unknown extension': { extra: [unknownExtension(false)] },
  'an unknown critical extension': { extra: [unknownExtension(true)] },
  'the same extension twice': { extra: [unknownExtension(false), unknownExtension(false)] },
  'version 1': { version: 1 },
  'two algorithms': { innerAlgorithm: sequence(encodeOid('1.2.840.10045.4.3.3')) },
  'an RSA key of 1024 bits': { spki: spkiOf(1_024) },
  'an RSA key of 2048 bits': { spki: spkiOf(2_048) },
  'an empty subject': { subject: {} },
};

type Above = (root: Authority, leaf: Forgery) => Omit<ChainCase, 'name'>;

const under =
  (name: string, forgery: Forgery): Above =>
  (root, leaf) => {
    const middle = intermediateNamed(name, root, { uris: [td], ...forgery });
    return { chain: [leafUnder(middle, leaf).der, middle.certificate.der], roots: [root.certificate.der] };
  };

const withRoot =
  (name: string, forgery: Forgery): Above =>
  (_, leaf) => {
    const root = rootNamed(name, { uris: [td], ...forgery });
    return { chain: [leafUnder(root, leaf).der], roots: [root.certificate.der] };
  };

const shown = (root: Authority, leaf: Uint8Array, ...above: readonly Authority[]): Omit<ChainCase, 'name'> => ({
  chain: [leaf, ...above.map(({ certificate }) => certificate.der)],
  roots: [root.certificate.der],
});

/** So many intermediates, each below the one before. */
const ladder =
  (count: number): Above =>
  (root, leaf) => {
    const steps: Authority[] = [];
    for (let step = 0; step < count; step += 1)
      steps.push(intermediateNamed(`step ${step}`, steps.at(-1) ?? root, { uris: [td] }));
    return shown(root, leafUnder(steps.at(-1) ?? root, leaf).der, ...steps.toReversed());
  };

/** Two intermediates, the lower one below the upper one. */
const twice =
  (upper: Forgery, lower: Forgery): Above =>
  (root, leaf) => {
    const above = intermediateNamed('above', root, { uris: [td], ...upper });
    const below = intermediateNamed('below', above, { uris: [td], ...lower });
    return shown(root, leafUnder(below, leaf).der, below, above);
  };

/** Certificates that lead back to each other. */
const circle =
  (isAnchored: boolean): Above =>
  (root, leaf) => {
    const outside = rootNamed('outside', { uris: [td] });
    const one = intermediateNamed('one', isAnchored ? root : outside, { uris: [td] });
    const other = intermediateNamed('other', one, { uris: [td] });
    const oneAgain = intermediateNamed('one', other, { uris: [td] });
    const rest = isAnchored ? [oneAgain, one] : [oneAgain];
    return shown(root, leafUnder(other, leaf).der, other, ...rest);
  };

export const aboveFaults: Readonly<Record<string, Above>> = {
  'a root': (root, leaf) => ({ chain: [leafUnder(root, leaf).der], roots: [root.certificate.der] }),
  'an intermediate': under('intermediate', {}),
  'two intermediates': (root, leaf) => {
    const upper = intermediateNamed('upper', root, { uris: [td] });
    const lower = intermediateNamed('lower', upper, { uris: [td] });
    return {
      chain: [leafUnder(lower, leaf).der, lower.certificate.der, upper.certificate.der],
      roots: [root.certificate.der],
    };
  },
  'intermediates in another order': (root, leaf) => {
    const upper = intermediateNamed('upper', root, { uris: [td] });
    const lower = intermediateNamed('lower', upper, { uris: [td] });
    return {
      chain: [leafUnder(lower, leaf).der, upper.certificate.der, lower.certificate.der],
      roots: [root.certificate.der],
    };
  },
  'the root in the chain': (root, leaf) => ({
    chain: [leafUnder(root, leaf).der, root.certificate.der],
    roots: [root.certificate.der],
  }),
  'an intermediate that nobody needs': (root, leaf) => {
    const other = intermediateNamed('idle', root, { uris: [td] });
    return { chain: [leafUnder(root, leaf).der, other.certificate.der], roots: [root.certificate.der] };
  },
  'an intermediate that is not shown': (root, leaf) => {
    const middle = intermediateNamed('hidden', root, { uris: [td] });
    return { chain: [leafUnder(middle, leaf).der], roots: [root.certificate.der] };
  },
  'another root of the same name': (root, leaf) => {
    const other = rootNamed('another root', { subject: { commonName: 'root' }, uris: [td] });
    return { chain: [leafUnder(root, leaf).der], roots: [other.certificate.der] };
  },
  'two roots of the same name': (root, leaf) => {
    const other = rootNamed('another root', { subject: { commonName: 'root' }, uris: [td] });
    return { chain: [leafUnder(root, leaf).der], roots: [other.certificate.der, root.certificate.der] };
  },
  'no root': (root, leaf) => ({ chain: [leafUnder(root, leaf).der], roots: [] }),
  'an intermediate that is trusted': (root, leaf) => {
    const middle = intermediateNamed('trusted', root, { uris: [td] });
    return { chain: [leafUnder(middle, leaf).der], roots: [middle.certificate.der] };
  },
  'an intermediate without the CA flag': under('no CA', { basicConstraints: undefined }),
  'an intermediate with the CA flag false': under('not a CA', { basicConstraints: sequence() }),
  'an intermediate that may not sign': under('no certSign', { keyUsage: ['digitalSignature'] }),
  'an intermediate without key usage': under('no usage', { keyUsage: undefined }),
  'an intermediate that has ended': under('ended', { notAfter: now - 1_000 }),
  'an intermediate that has not begun': under('early', { notBefore: now + 1_000 }),
  'an intermediate with a path length of 0': under('length 0', { basicConstraints: caConstraints(0) }),
  'an intermediate with serial number 0': under('serial 0', { serialNumber: Uint8Array.of(0) }),
  'an intermediate with an unknown critical extension': under('strange', { extra: [unknownExtension(true)] }),
  'an intermediate of version 1': under('old', { version: 1 }),
  'an intermediate of an RSA key of 1024 bits that it does not have': under('weak', { spki: spkiOf(1_024) }),
  'an intermediate with an empty subject': under('nameless', { subject: {} }),
  'an intermediate for servers only': under('servers', { extendedKeyUsage: [purposeOids.serverAuth] }),
  'an intermediate that permits the trust domain': under('permits', nameConstraints(['td.test'])),
  'an intermediate that permits another': under('permits other', nameConstraints(['other.test'])),
  'an intermediate that excludes the trust domain': under('excludes', nameConstraints([], ['td.test'])),
  'an intermediate that permits other DNS names': under('permits DNS', nameConstraints(['b.test'], [], 0x82)),
  'a root that allows no intermediate': (_, leaf) => {
    const root = rootNamed('short', { basicConstraints: caConstraints(0), uris: [td] });
    const middle = intermediateNamed('too deep', root, { uris: [td] });
    return { chain: [leafUnder(middle, leaf).der, middle.certificate.der], roots: [root.certificate.der] };
  },
  'eight intermediates': ladder(8),
  'nine intermediates': ladder(9),
  'intermediates that lead to each other alone': circle(false),
  'intermediates that lead to each other and to the root': circle(true),
  'a path length of 0 above another intermediate': twice({ basicConstraints: caConstraints(0) }, {}),
  'a path length that grows below': twice(
    { basicConstraints: caConstraints(1) },
    { basicConstraints: caConstraints(9) },
  ),
  'an intermediate that signed itself anew, which no path length counts': (root, leaf) => {
    const top = intermediateNamed('again', root, { uris: [td], basicConstraints: caConstraints(0) });
    const anew = intermediateNamed('again, newer key', top, { uris: [td], subject: { commonName: 'again' } });
    return shown(root, leafUnder(anew, leaf).der, anew, top);
  },
  'another intermediate of the same name, shown first': (root, leaf) => {
    const good = intermediateNamed('same', root, { uris: [td] });
    const decoy = intermediateNamed('same, other key', root, { uris: [td], subject: { commonName: 'same' } });
    return shown(root, leafUnder(good, leaf).der, decoy, good);
  },
  'the same intermediate as it was before it was renewed, shown first': (root, leaf) => {
    const good = intermediateNamed('renewed', root, { uris: [td] });
    const ended = intermediateNamed('renewed', root, { uris: [td], notAfter: now - 1_000 });
    return shown(root, leafUnder(good, leaf).der, ended, good);
  },
  'fifteen intermediates of the same name that lead nowhere, and one that leads to the root': (root, leaf) => {
    const good = intermediateNamed('crowd', root, { uris: [td] });
    const stranger = rootNamed('outside', { uris: [td] });
    const crowd = Array.from({ length: 15 }, (_, index) =>
      intermediateNamed(`crowd ${index}`, stranger, { uris: [td], subject: { commonName: 'crowd' } }),
    );
    return shown(root, leafUnder(good, leaf).der, ...crowd, good);
  },
  'names that are permitted above and not below': twice(nameConstraints(['td.test']), nameConstraints(['other.test'])),
  'names that are permitted below and not above': twice(nameConstraints(['other.test']), nameConstraints(['td.test'])),
  'names that are permitted above and excluded below': twice(
    nameConstraints(['td.test']),
    nameConstraints([], ['td.test']),
  ),
  'names that are excluded, not critically': under('excludes softly', nameConstraints([], ['td.test'], 0x86, false)),
  'constraints on names of a kind that nobody knows': under('odd kind', nameConstraints(['x'], [], 0xa0)),
  'constraints without a name': under('no names', nameConstraints([])),
  'a root that has ended': withRoot('ended root', { notAfter: now - 1_000 }),
  'a root without the CA flag': withRoot('no CA root', { basicConstraints: undefined }),
  'a root that may not sign': withRoot('no certSign root', { keyUsage: ['digitalSignature'] }),
  'a root without key usage': withRoot('no usage root', { keyUsage: undefined }),
  'a root with an unknown critical extension': withRoot('strange root', { extra: [unknownExtension(true)] }),
  'a signature of another key': (root, leaf) => {
    const impostor = rootNamed('impostor', { subject: { commonName: 'root' }, uris: [td] });
    return {
      chain: [leafUnder(impostor, leaf).der],
      roots: [root.certificate.der],
    };
  },
  'a signature with a byte changed': (root, leaf) => {
    const { der } = leafUnder(root, leaf);
    return { chain: [der.map((byte, at) => (at === der.length - 3 ? byte ^ 1 : byte))], roots: [root.certificate.der] };
  },
  'a byte after the leaf': (root, leaf) => ({
    chain: [Uint8Array.of(...leafUnder(root, leaf).der, 0)],
    roots: [root.certificate.der],
  }),
};

/** Every fault alone, then pairs chosen by the seed. */
export function chainCorpus(seed: number, pairs: number): ChainCase[] {
  const root = rootNamed('root', { uris: [td] });
  const leaves = Object.keys(leafFaults);
  const aboves = Object.keys(aboveFaults);
  const build = (leaf: string, above: string): ChainCase[] => {
    try {
      return [{ name: `${leaf}, under ${above}`, ...aboveFaults[above]!(root, leafFaults[leaf]!) }];
    } catch {
      return []; // our own reader, which the maker uses, refuses some pairs before anybody could be asked
    }
  };
  let state = seed;
  const next = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state % limit;
  };
  return [
    ...leaves.flatMap((leaf) => build(leaf, 'an intermediate')),
    ...aboves.flatMap((above) => build(leaves[0]!, above)),
    ...Array.from({ length: pairs }, () => build(leaves[next(leaves.length)]!, aboves[next(aboves.length)]!)).flat(),
  ];
}

export const corpusTime = now;
