// Entries and those who declare them, for tests of plans and rounds.
import { keyed } from '../../../activities/registration/entries/wanted-entry.ts';
import type {
  CurrentEntry,
  DeclaredEntry,
  Declarer,
  EntryAttributes,
} from '../../../activities/registration/entries/wanted-entry.ts';

export const attributes = (path: string, more: Partial<EntryAttributes> = {}): EntryAttributes => ({
  spiffeId: `spiffe://example.org/${path}`,
  parentId: 'spiffe://example.org/spire/agent/k8s_psat/demo/n-1',
  selectors: [{ type: 'k8s', value: `pod-uid:${path}` }],
  x509SvidTtl: 0,
  jwtSvidTtl: 0,
  federatesWith: [],
  dnsNames: [],
  admin: false,
  downstream: false,
  storeSvid: false,
  hint: '',
  ...more,
});

export const by = (name: string, more: Partial<Declarer> = {}): Declarer => ({
  cluster: 'demo',
  kind: 'ClusterSPIFFEID',
  name,
  uid: `uid-of-${name}`,
  createdAt: 0,
  deletedAt: undefined,
  ...more,
});

export const declared = (
  path: string,
  who: Declarer = by('all'),
  more: Partial<EntryAttributes> = {},
): DeclaredEntry => ({
  entry: keyed(attributes(path, more)),
  by: who,
});

export const current = (id: string, path: string, more: Partial<EntryAttributes> = {}): CurrentEntry => ({
  id,
  ...keyed(attributes(path, more)),
});
