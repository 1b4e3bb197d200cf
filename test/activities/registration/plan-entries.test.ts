import { describe, expect, it } from 'vitest';
import { guardRemoval } from '../../../activities/registration/entries/deletion-guard.ts';
import { createOwnership, newEntryId } from '../../../activities/registration/entries/ownership.ts';
import { planEntries } from '../../../activities/registration/entries/plan-entries.ts';
import type { CurrentEntry, DeclaredEntry } from '../../../activities/registration/entries/wanted-entry.ts';
import { by, current, declared } from './wanted.ts';

const ownerOf = createOwnership({
  entryIdPrefix: 'registration',
  trustDomain: 'example.org',
  clusters: [{ name: 'demo' }, { name: 'prod.eu' }, { name: 'prod' }],
});
const plan = (wanted: readonly DeclaredEntry[], there: readonly CurrentEntry[], known = ['demo']) =>
  planEntries({ declared: wanted, current: there, ownerOf, known: new Set(known) });
const names = (list: readonly DeclaredEntry[]) => list.map((one) => one.by.name);

describe('a plan', () => {
  it('creates what is missing, leaves what stands, changes what is otherwise, and removes what nobody wants', () => {
    const there = [
      current('registration.demo.1', 'stands'),
      current('registration.demo.2', 'changed'),
      current('registration.demo.3', 'gone'),
    ];
    const wanted = [
      declared('stands'),
      declared('changed', by('all'), { hint: 'new', x509SvidTtl: 60 }),
      declared('new'),
    ];
    const { create, update, remove, standing } = plan(wanted, there);
    expect(create.map(({ entry }) => entry.spiffeId)).toEqual(['spiffe://example.org/new']);
    expect(update.map(({ id, fields }) => [id, fields])).toEqual([['registration.demo.2', ['x509SvidTtl', 'hint']]]);
    expect(remove.map(({ id }) => id)).toEqual(['registration.demo.3']);
    expect(standing).toHaveLength(1);
  });

  it('compares lists as sets', () => {
    const more = { dnsNames: ['a', 'b'], federatesWith: ['x.org', 'y.org'] };
    const there = [current('registration.demo.1', 'a', { dnsNames: ['b', 'a'], federatesWith: ['y.org', 'x.org'] })];
    expect(plan([declared('a', by('all'), more)], there).standing).toHaveLength(1);
    expect(plan([declared('a', by('all'), { dnsNames: ['a'] })], there).update).toHaveLength(1);
  });

  it('knows entries by ID, parent and selectors in any order', () => {
    const selectors = [
      { type: 'k8s', value: 'ns:a' },
      { type: 'k8s', value: 'sa:b' },
    ];
    const there = [current('registration.demo.1', 'a', { selectors: [...selectors].reverse() })];
    expect(plan([declared('a', by('all'), { selectors })], there).standing).toHaveLength(1);
    expect(plan([declared('a', by('all'), { selectors: selectors.slice(1) })], there).create).toHaveLength(1);
  });

  it.for([
    ['somebody else', '0b1c2d3e-0000-4000-8000-000000000000'],
    ['another prefix', 'espalier.0b1c2d3e'],
    ['a cluster that is not ours', 'registration.test.1'],
    ['a cluster whose name only begins as ours', 'registration.demo2.1'],
    ['nobody in particular', 'registration..1'],
    ['the prefix alone', 'registration.1'],
  ] as const)('never removes or changes what is of %s', ([, id]) => {
    const there = [current(id, 'gone'), current(`${id}x`, 'changed')];
    const { update, remove, taken } = plan([declared('changed', by('all'), { hint: 'new' })], there);
    expect([update, remove]).toEqual([[], []]);
    expect(taken).toMatchObject([{ id: `${id}x`, fields: ['hint'] }]);
  });

  it('lets an equal entry of somebody else stand', () => {
    const { create, standing } = plan([declared('a')], [current('theirs', 'a')]);
    expect([create, standing.length]).toEqual([[], 1]);
  });

  it('removes nothing of a cluster whose objects are not all known', () => {
    const there = [current('registration.prod.1', 'a'), current('registration.demo.1', 'b')];
    expect(plan([], there).remove.map(({ id }) => id)).toEqual(['registration.demo.1']);
    expect(plan([], there, ['demo', 'prod']).remove).toHaveLength(2);
  });

  it('takes dots in names of clusters for what they are', () => {
    expect(ownerOf(current(newEntryId('registration', 'prod.eu', 'u-1'), 'a'))).toBe('prod.eu');
    expect(ownerOf(current(newEntryId('registration', 'prod', 'u-1'), 'a'))).toBe('prod');
    expect(ownerOf(current('registration.prod.us.u-1', 'a'))).toBeUndefined();
  });
});

describe('of several objects that want one entry', () => {
  it.for([
    ['the older one', { createdAt: 1 }, { createdAt: 2 }],
    ['the one that is not being deleted', {}, { deletedAt: 1 }],
    ['the one that is deleted later', { deletedAt: 9 }, { deletedAt: 5 }],
    ['the one with the lower UID', { uid: 'a' }, { uid: 'b' }],
    ['the one of the cluster that comes first', { uid: 'same', cluster: 'a' }, { uid: 'same', cluster: 'b' }],
  ] as const)('%s goes first, and the others are masked', ([, first, second]) => {
    const pair = [declared('a', by('first', first)), declared('a', by('second', second), { hint: 'other' })];
    for (const wanted of [pair, [...pair].reverse()]) {
      const { create, masked } = plan(wanted, []);
      expect([names(create), names(masked)]).toEqual([['first'], ['second']]);
    }
  });
});

describe('taking over from a controller manager', () => {
  const parentId = 'spiffe://example.org/spire/agent/k8s_psat/demo/n-1';
  const takingOver = (entryIdPrefix: string) =>
    createOwnership({
      entryIdPrefix: 'registration',
      trustDomain: 'example.org',
      clusters: [{ name: 'demo', takeOver: { entryIdPrefix } }, { name: 'prod' }],
    });

  it('owns what it made of pods of the cluster', () => {
    expect(takingOver('')(current('0b1c-2d3e', 'a', { parentId }))).toBe('demo');
    expect(takingOver('scm')(current('scm.0b1c-2d3e', 'a', { parentId }))).toBe('demo');
  });

  it.for([
    ['of another prefix', 'other.0b1c', {}],
    ['of another cluster', '0b1c', { parentId: 'spiffe://example.org/spire/agent/k8s_psat/demo2/n-1' }],
    ['of another trust domain', '0b1c', { parentId: 'spiffe://other.org/spire/agent/k8s_psat/demo/n-1' }],
    ['made by hand', '0b1c', { selectors: [{ type: 'k8s', value: 'ns:shop' }] }],
    ['below something else', '0b1c', { parentId: 'spiffe://example.org/node' }],
  ] as const)('leaves alone what is %s', ([, id, more]) => {
    expect(takingOver('')(current(id, 'a', more))).toBeUndefined();
  });

  it('changes such an entry in its place, and removes it when its pod is gone', () => {
    const there = [current('0b1c', 'a'), current('0b1d', 'b')];
    const result = planEntries({
      declared: [declared('a', by('all'), { hint: 'new' })],
      current: there,
      ownerOf: takingOver(''),
      known: new Set(['demo']),
    });
    expect(result.update.map(({ id }) => id)).toEqual(['0b1c']);
    expect(result.remove.map(({ id }) => id)).toEqual(['0b1d']);
  });
});

describe('the guard of deletions', () => {
  const going = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ ...current(`registration.demo.${i}`, `p${i}`), owner: 'demo' }));
  const guard = (count: number, of: number, accepted: string[] = []) =>
    guardRemoval(going(count), new Map([['demo', of]]), { share: 0.5, always: 10, accepted: new Set(accepted) });

  it.for([
    [10, 10, 10],
    [11, 22, 11],
    [11, 21, 0],
    [500, 1000, 500],
    [501, 1000, 0],
    [1000, 1000, 0],
  ] as const)('of %i that would go of %s, %s go', ([count, of, goes]) => {
    expect(guard(count, of).remove).toHaveLength(goes);
  });

  it('says what it holds, and lets it go when the loss is accepted', () => {
    expect(guard(900, 1000).held).toEqual([{ cluster: 'demo', wouldGo: 900, of: 1000 }]);
    expect(guard(900, 1000, ['prod']).remove).toEqual([]);
    expect(guard(900, 1000, ['demo'])).toMatchObject({ held: [], remove: { length: 900 } });
  });

  it('judges each cluster by itself', () => {
    const remove = [...going(20), { ...current('registration.prod.1', 'x'), owner: 'prod' }];
    const owned = new Map([
      ['demo', 20],
      ['prod', 100],
    ]);
    const result = guardRemoval(remove, owned, { share: 0.5, always: 10, accepted: new Set() });
    expect(result.remove.map(({ owner }) => owner)).toEqual(['prod']);
  });
});
