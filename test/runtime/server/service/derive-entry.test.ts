import { describe, expect, test } from 'vitest';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { deriveEntry } from '../../../../runtime/server/service/derive-entry.ts';
import type { DeriveRequest } from '../../../../runtime/server/service/derive-entry.ts';
import type { EntryRecord } from '../../../../runtime/server/store/records.ts';

const unix = (value: string) => ({ type: 'unix', value });
const vm = [unix('gid:7'), unix('path:/usr/bin/vm'), unix('uid:20001')];
const entry = {
  id: 'metald',
  spiffeId: 'spiffe://example.org/service/metald',
  selectors: [unix('path:/usr/bin/metald')],
  federatesWith: ['other.test'],
  x509SvidTtl: 600,
  jwtSvidTtl: 0,
  expiresAt: 0,
} as unknown as EntryRecord;
const template: DeriveRequest['template'] = {
  entryId: 'metald',
  kinds: ['customer'],
  selectors: [unix('path:/usr/bin/vm')],
  distinguishedBy: 'unix:uid',
  x509SvidTtl: 900,
  jwtSvidTtl: 60,
  leaseSeconds: 3600,
  mostIdentities: 2,
};
const request: DeriveRequest = {
  agentId: 'spiffe://example.org/spire/agent/x509pop/node',
  subject: { kind: 'customer', id: 'cust-123' },
  process: vm,
  entry,
  template,
  serviceEntries: [entry],
  nowSeconds: 1000,
};

describe('no entry is made', () => {
  test.each<[string, Partial<DeriveRequest>, string]>([
    [
      'for a kind that the template does not have',
      { subject: { kind: 'tenant', id: 'a' } },
      'service may not give identities of the kind tenant',
    ],
    [
      'for a process that is none of those that the service runs',
      { process: [unix('path:/usr/bin/other'), unix('uid:20001')] },
      'process lacks the selector unix:path:/usr/bin/vm',
    ],
    [
      'for the service itself',
      { process: [...vm, unix('path:/usr/bin/metald')] },
      'process holds the identity of the service itself',
    ],
    [
      'for a process that is the service by another entry',
      { serviceEntries: [entry, { ...entry, id: 'second', selectors: [unix('gid:7')] }] },
      'process holds the identity of the service itself',
    ],
    ['for a process that nothing tells apart', { process: vm.slice(0, 2) }, 'process has no selector unix:uid'],
    ['for a process that is two', { process: [...vm, unix('uid:9')] }, 'process has 2 selectors unix:uid, want 1'],
    [
      'for root',
      { process: [unix('path:/usr/bin/vm'), unix('uid:0')] },
      'process has unix:uid:0, who can be everybody',
    ],
    [
      'for root by name',
      {
        process: [unix('path:/usr/bin/vm'), unix('user:root')],
        template: { ...template, distinguishedBy: 'unix:user' },
      },
      'process has unix:user:root, who can be everybody',
    ],
  ])('%s', (_, patch, message) => {
    expect(() => deriveEntry({ ...request, ...patch })).toThrow(
      expect.objectContaining({ code: statusCode.PERMISSION_DENIED, message }),
    );
  });
});

test('an entry has what the template says and what tells the process apart, on the one node, and ends', () => {
  expect(deriveEntry(request)).toEqual({
    spiffeId: 'spiffe://example.org/service/metald/customer/cust-123',
    parentId: 'spiffe://example.org/spire/agent/x509pop/node',
    selectors: [unix('path:/usr/bin/vm'), unix('uid:20001')],
    distinguisher: 'unix:uid:20001',
    x509SvidTtl: 600,
    jwtSvidTtl: 60,
    federatesWith: ['other.test'],
    expiresAt: 4600,
  });
});

test('an entry ends with the service’s own', () => {
  expect(deriveEntry({ ...request, entry: { ...entry, expiresAt: 2000 } }).expiresAt).toBe(2000);
});
