// Name constraints: what a CA permits and excludes below it, for each kind of name.
import { describe, expect, test } from 'vitest';
import { encodeName } from '../../../runtime/pki/distinguished-name.ts';
import type { NameFields } from '../../../runtime/pki/distinguished-name.ts';
import { encodeOid } from '../../../runtime/pki/der/oid.ts';
import { element, sequence, smallInteger } from '../../../runtime/pki/der/writer.ts';
import { encodeExtension } from '../../../runtime/pki/extensions.ts';
import { extensionOids } from '../../../runtime/pki/oids.ts';
import { verifyChain } from '../../../runtime/pki/verify-chain.ts';
import { intermediateNamed, leafUnder, now, rootNamed } from './forge.ts';
import type { Forgery } from './forge.ts';
import { expectRefusal } from './refusal.ts';

const text = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, 'latin1'));
const uri = (value: string): Uint8Array => element(0x86, text(value));
const dns = (value: string): Uint8Array => element(0x82, text(value));
const email = (value: string): Uint8Array => element(0x81, text(value));
const ip = (...bytes: number[]): Uint8Array => element(0x87, Uint8Array.from(bytes));
const directory = (fields: NameFields): Uint8Array => element(0xa4, encodeName(fields));

function constraints({
  permitted = [],
  excluded = [],
}: {
  permitted?: Uint8Array[];
  excluded?: Uint8Array[];
}): Forgery {
  const list = (tag: number, bases: Uint8Array[]): Uint8Array[] =>
    bases.length === 0 ? [] : [element(tag, ...bases.map((base) => sequence(base)))];
  return extra(sequence(...list(0xa0, permitted), ...list(0xa1, excluded)));
}

function extra(value: Uint8Array): Forgery {
  return { extra: [encodeExtension(extensionOids.nameConstraints, true, value)] };
}

/** Verifies a leaf with these names under an intermediate with these constraints. */
function verify(above: Forgery, names: Uint8Array[], leafSubject: NameFields = { commonName: 'leaf' }): number {
  const root = rootNamed('root');
  const middle = intermediateNamed('middle', root, above);
  const leaf = leafUnder(middle, { names: sequence(...names), subject: leafSubject });
  return verifyChain({ leaf, intermediates: [middle.certificate], roots: [root.certificate], now }).length;
}

const workload = uri('spiffe://td.test/workload');

describe('names that are permitted', () => {
  test.each<[string, Uint8Array[], Uint8Array[]]>([
    ['a trust domain', [uri('td.test')], [workload]],
    ['trust domains below a domain', [uri('.test')], [workload]],
    ['any URI', [uri('')], [workload]],
    ['one of two trust domains', [uri('other.test'), uri('td.test')], [workload]],
    ['DNS names only, and none is there', [dns('a.test')], [workload]],
    ['a DNS name', [dns('a.test')], [dns('a.test'), dns('b.a.test'), dns('B.A.TEST')]],
    ['DNS names below a domain', [dns('.a.test')], [dns('b.a.test')]],
    ['any DNS name', [dns('')], [dns('x')]],
    ['a wildcard within a domain', [dns('a.test')], [dns('*.a.test')]],
    ['an address', [email('a@b.test')], [email('a@B.test')]],
    ['addresses of a host', [email('b.test')], [email('x@b.test')]],
    ['addresses below a domain', [email('.test')], [email('x@b.test')]],
    ['a network', [ip(10, 0, 0, 0, 255, 0, 0, 0)], [ip(10, 1, 2, 3)]],
    ['a subject', [directory({ organization: 'X' })], [workload]],
  ])('%s', (_, permitted, names) => {
    expect(verify(constraints({ permitted }), names, { organization: 'X', commonName: 'leaf' })).toBe(3);
  });
});

describe('names that are refused', () => {
  test.each<[string, { permitted?: Uint8Array[]; excluded?: Uint8Array[] }, Uint8Array[]]>([
    ['another trust domain', { permitted: [uri('other.test')] }, [workload]],
    ['a trust domain below the permitted one', { permitted: [uri('test')] }, [workload]],
    ['the domain itself where only those below are permitted', { permitted: [uri('.td.test')] }, [workload]],
    ['a trust domain that merely ends alike', { permitted: [uri('.d.test')] }, [workload]],
    ['an excluded trust domain', { excluded: [uri('td.test')] }, [workload]],
    ['a trust domain that is both', { permitted: [uri('td.test')], excluded: [uri('td.test')] }, [workload]],
    ['a URI without a host', { excluded: [uri('other.test')] }, [uri('urn:x')]],
    ['a URI with an IP address', { excluded: [uri('other.test')] }, [uri('https://10.0.0.1/')]],
    ['one of two DNS names', { permitted: [dns('a.test')] }, [dns('a.test'), dns('b.test')]],
    ['a DNS name that merely ends alike', { permitted: [dns('a.test')] }, [dns('xa.test')]],
    ['an excluded DNS name in other letters', { excluded: [dns('a.test')] }, [dns('B.A.TEST')]],
    ['a wildcard for an excluded name', { excluded: [dns('b.a.test')] }, [dns('*.a.test')]],
    ['a wildcard below an excluded name', { excluded: [dns('a.test')] }, [dns('*.b.a.test')]],
    ['a wildcard for more than the permitted name', { permitted: [dns('b.a.test')] }, [dns('*.a.test')]],
    ['a DNS name with a leading dot', { excluded: [dns('b.test')] }, [dns('.a.test')]],
    ['a DNS name with a slash', { permitted: [dns('a.test')] }, [dns('x/.a.test')]],
    ['another address', { permitted: [email('a@b.test')] }, [email('A@b.test')]],
    ['an address elsewhere', { permitted: [email('b.test')] }, [email('x@c.b.test')]],
    ['an address with a host that is none', { permitted: [email('b.test')] }, [email('x@y@b.test')]],
    ['an address without a host', { excluded: [email('b.test')] }, [email('x')]],
    ['another network', { permitted: [ip(10, 0, 0, 0, 255, 0, 0, 0)] }, [ip(11, 0, 0, 1)]],
    [
      'an address of the other family',
      { permitted: [ip(10, 0, 0, 0, 255, 0, 0, 0)] },
      [ip(...new Array<number>(16).fill(10))],
    ],
    [
      'an excluded network',
      { excluded: [ip(...new Array<number>(32).fill(0))] },
      [ip(...new Array<number>(16).fill(10))],
    ],
    ['a malformed network', { excluded: [ip(10, 0, 0, 0)] }, [ip(10, 0, 0, 1)]],
    ['another subject', { permitted: [directory({ organization: 'Y' })] }, [workload]],
    ['a subject that only contains the permitted one', { permitted: [directory({ commonName: 'leaf' })] }, [workload]],
    ['an excluded subject', { excluded: [directory({ organization: 'X' })] }, [workload]],
    ['an excluded directory name', { excluded: [directory({ country: 'DE' })] }, [directory({ country: 'DE' })]],
  ])('%s', (_, rules, names) => {
    expectRefusal(
      () => verify(constraints(rules), names, { organization: 'X', commonName: 'leaf' }),
      'NAME_CONSTRAINTS',
    );
  });

  test('by a CA two steps above', () => {
    const root = rootNamed('root', constraints({ permitted: [uri('other.test')] }));
    const middle = intermediateNamed('middle', root);
    const chain = { leaf: leafUnder(middle), intermediates: [middle.certificate], roots: [root.certificate], now };
    expectRefusal(
      () => verifyChain(chain),
      'NAME_CONSTRAINTS',
      'name spiffe://td.test/workload is not among those that "CN=root" permits',
    );
  });

  test('by their number, before they are compared', () => {
    const many = Array.from({ length: 150 }, (_, index) => dns(`n${index}.test`));
    expectRefusal(
      () =>
        verify(
          constraints({ excluded: many }),
          Array.from({ length: 150 }, () => dns('a.b.test')),
        ),
      'SEARCH_LIMIT',
      'more than 20000 comparisons of names with constraints',
    );
  });

  test('by a leaf that has constraints of its own', () => {
    const root = rootNamed('root');
    const leaf = leafUnder(root, constraints({ permitted: [uri('td.test')] }));
    expectRefusal(
      () => verifyChain({ leaf, intermediates: [], roots: [root.certificate], now }),
      'NAME_CONSTRAINTS',
      'leaf has name constraints, which are for CAs',
    );
  });

  test('but not in a CA that renews its own key', () => {
    const root = rootNamed('root', constraints({ excluded: [uri('old.test')] }));
    const renewed = intermediateNamed('renewed', root, {
      subject: { commonName: 'root' },
      uris: ['spiffe://old.test'],
    });
    const chain = { leaf: leafUnder(renewed), intermediates: [renewed.certificate], roots: [root.certificate], now };
    expect(verifyChain(chain)).toHaveLength(3);
  });

  test('in an intermediate', () => {
    const root = rootNamed('root', constraints({ excluded: [uri('td.test')] }));
    const middle = intermediateNamed('middle', root, { uris: ['spiffe://td.test'] });
    const leaf = leafUnder(middle, { uris: ['spiffe://x.test/y'] });
    const chain = { leaf, intermediates: [middle.certificate], roots: [root.certificate], now };
    expectRefusal(() => verifyChain(chain), 'NAME_CONSTRAINTS', 'name spiffe://td.test is excluded by "CN=root"');
  });
});

describe('constraints that are refused', () => {
  test('on kinds of names that we cannot compare', () => {
    const registeredId = element(0x88, encodeOid('1.2.3').subarray(2));
    expectRefusal(
      () => verify(constraints({ excluded: [registeredId] }), [workload]),
      'NAME_CONSTRAINTS',
      'tag 0x88 is not supported',
    );
  });

  test.each<[string, Uint8Array, 'CERTIFICATE' | 'DER']>([
    ['empty ones', sequence(), 'CERTIFICATE'],
    ['an empty list', sequence(element(0xa0)), 'CERTIFICATE'],
    ['a minimum', sequence(element(0xa0, sequence(uri('td.test'), element(0x80, smallInteger(1).subarray(2))))), 'DER'],
    ['lists in the wrong order', sequence(element(0xa1, sequence(uri('a'))), element(0xa0, sequence(uri('b')))), 'DER'],
    ['no sequence', smallInteger(1), 'DER'],
  ])('%s', (_, value, code) => {
    expectRefusal(() => verify(extra(value), [workload]), code);
  });
});
