import { describe, expect, test } from 'vitest';
import { checkServiceEntry, distinguishingValue, parseTemplate } from '../../../../runtime/server/service/template.ts';
import type { TemplateDraft } from '../../../../runtime/server/service/template.ts';
import type { EntryRecord } from '../../../../runtime/server/store/records.ts';

const vm = { type: 'unix', value: 'path:/usr/bin/vm' };
const draft: TemplateDraft = {
  entryId: 'metald',
  kinds: ['tenant', 'customer', 'customer'],
  selectors: [vm],
  distinguishedBy: 'unix:uid',
  x509SvidTtl: 0,
  jwtSvidTtl: 0,
  leaseSeconds: 0,
  mostIdentities: 0,
};

describe('a template is refused', () => {
  const wanted = 'want one of unix:uid, unix:user, systemd:id';
  test.each<[Partial<TemplateDraft>, string]>([
    [{ entryId: '' }, 'missing entry ID'],
    [{ kinds: [] }, 'missing kinds'],
    [{ kinds: ['admin'] }, 'kind "admin" is neither customer nor tenant'],
    [{ selectors: [] }, 'missing selectors: a service must not name any process it likes'],
    [{ selectors: Array.from({ length: 17 }, () => vm) }, 'there are 17 selectors, at most 16 are taken'],
    [{ selectors: [{ type: 'unix', value: '' }] }, 'missing selector value'],
    [{ selectors: [{ type: '', value: 'a' }] }, 'missing selector type'],
    [{ distinguishedBy: '' }, `distinguished by "", ${wanted}`],
    [{ distinguishedBy: 'unix:path' }, `distinguished by "unix:path", ${wanted}`],
    [{ distinguishedBy: 'unix:gid' }, `distinguished by "unix:gid", ${wanted}`],
    [
      { selectors: [vm, { type: 'unix', value: 'uid:7' }] },
      'all processes have the same unix:uid, which is to tell them apart',
    ],
    [{ x509SvidTtl: -1 }, 'a TTL is negative'],
    [{ jwtSvidTtl: -1 }, 'a TTL is negative'],
    [{ leaseSeconds: 59 }, 'lease is 59 s, want 60 to 86400'],
    [{ leaseSeconds: 86_401 }, 'lease is 86401 s, want 60 to 86400'],
    [{ mostIdentities: -1 }, 'identities on a node are -1, want 1 to 10000'],
    [{ mostIdentities: 10_001 }, 'identities on a node are 10001, want 1 to 10000'],
  ])('with %j', (patch, message) => {
    expect(() => parseTemplate({ ...draft, ...patch })).toThrow(message);
  });
});

test('what a template leaves out is said', () => {
  expect(parseTemplate(draft)).toEqual({
    ...draft,
    kinds: ['customer', 'tenant'],
    leaseSeconds: 3600,
    mostIdentities: 256,
  });
});

describe('an entry has no template', () => {
  const entry = { id: 'e', spiffeId: 'spiffe://example.org/service/metald' } as EntryRecord;
  test.each<[Partial<EntryRecord>, string]>([
    [
      { spiffeId: 'spiffe://example.org/prod/metald' },
      'entry e is of spiffe://example.org/prod/metald, want an ID with the path /service/<name>',
    ],
    [
      { spiffeId: 'spiffe://example.org/service/metald/customer/a' },
      'entry e is of spiffe://example.org/service/metald/customer/a, want an ID with the path /service/<name>',
    ],
    [{ admin: true }, "entry e is an administrator's"],
    [{ downstream: true }, "entry e is a downstream server's"],
    [{ storeSvid: true }, 'entry e is for a store of SVIDs'],
  ])('with %j', (patch, message) => {
    expect(() => checkServiceEntry({ ...entry, ...patch })).toThrow(message);
  });

  test('or may have one', () => {
    expect(() => checkServiceEntry(entry)).not.toThrow();
  });
});

test('a distinguisher is told by its whole name', () => {
  expect(distinguishingValue({ type: 'unix', value: 'uid:7' }, 'unix:uid')).toBe('7');
  expect(distinguishingValue({ type: 'unix', value: 'uidx:7' }, 'unix:uid')).toBeUndefined();
  expect(distinguishingValue({ type: 'docker', value: 'uid:7' }, 'unix:uid')).toBeUndefined();
  expect(distinguishingValue({ type: 'systemd', value: 'id:vm@a.service' }, 'systemd:id')).toBe('vm@a.service');
});
