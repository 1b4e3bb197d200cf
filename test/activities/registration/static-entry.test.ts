import { expect, it } from 'vitest';
import { rendered, resource } from './cluster.ts';

const whole = {
  spiffeID: 'spiffe://example.org/database',
  parentID: 'spiffe://example.org/spire/agent/x509pop/1',
  selectors: ['unix:uid:70', 'unix:gid:70'],
  federatesWith: ['partner.org'],
  x509SVIDTTL: '10m',
  jwtSVIDTTL: '1m',
  dnsNames: ['db.example.org'],
  hint: 'db',
  admin: true,
  downstream: true,
  storeSVID: true,
};

const of = (spec: object) => rendered({ clusterStaticEntries: [resource('db', spec)], pods: [] });

it('is an entry word for word', () => {
  const { declared, faults, resources } = of(whole);
  expect(faults).toEqual([]);
  expect(declared.map(({ entry: { key, ...entry } }) => [key !== '', entry])).toEqual([
    [
      true,
      {
        spiffeId: whole.spiffeID,
        parentId: whole.parentID,
        selectors: [
          { type: 'unix', value: 'gid:70' },
          { type: 'unix', value: 'uid:70' },
        ],
        federatesWith: ['partner.org'],
        x509SvidTtl: 600,
        jwtSvidTtl: 60,
        dnsNames: ['db.example.org'],
        hint: 'db',
        admin: true,
        downstream: true,
        storeSvid: true,
      },
    ],
  ]);
  expect(resources).toMatchObject([{ rendered: true, by: { kind: 'ClusterStaticEntry', name: 'db' } }]);
});

it.for([
  ['spiffeID', 'example.org/db', 'scheme is missing'],
  ['spiffeID', undefined, 'expected string'],
  ['parentID', 'spiffe://example.org/a//b', 'empty segments'],
  ['selectors', [], 'names no selector'],
  ['selectors', ['unix'], 'must be formatted as type:value'],
  ['federatesWith', ['Partner'], 'lowercase'],
  ['x509SVIDTTL', 'soon', 'invalid duration'],
  ['jwtSVIDTTL', '-1s', '-1s is no time to live'],
  ['x509SVIDTTL', '600000h', '600000h is no time to live'],
  ['storeSVID', 'no', 'expected boolean'],
] as const)('is refused where %s is %o: %s', ([field, value, reason]) => {
  const { declared, faults, resources } = of({ ...whole, [field]: value });
  expect(declared).toEqual([]);
  expect(faults[0]).toMatchObject({ by: 'demo: ClusterStaticEntry db' });
  expect(faults[0]?.field).toContain(`spec.${field}`);
  expect(faults[0]?.reason).toContain(reason);
  expect(resources).toMatchObject([{ rendered: false }]);
});

it('belongs to its class', () => {
  const clusterStaticEntries = [resource('a', { ...whole, className: 'other' }), resource('b', whole)];
  expect(rendered({ clusterStaticEntries }).resources.map(({ by }) => by.name)).toEqual(['b']);
});
