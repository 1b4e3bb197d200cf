import { expect, test } from 'vitest';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { WorkloadError } from '../../../runtime/workloadapi/errors.ts';
import { createHandshakes } from '../../../runtime/workloadapi/handshakes.ts';

const [a, b] = [parseSpiffeId('spiffe://example.org/a'), parseSpiffeId('spiffe://example.org/b')];

test('counts by role, peer and outcome', () => {
  const handshakes = createHandshakes();
  handshakes.accepted('server', a);
  handshakes.accepted('server', a);
  handshakes.accepted('client', a);
  handshakes.refused('server', new WorkloadError('PEER_NOT_AUTHORIZED', 'no', { peerId: b }));
  handshakes.refused('client', new Error('connection reset'));
  expect(handshakes.counts()).toEqual([
    { role: 'server', peerId: a.toString(), outcome: 'ACCEPTED', count: 2 },
    { role: 'client', peerId: a.toString(), outcome: 'ACCEPTED', count: 1 },
    { role: 'server', peerId: b.toString(), outcome: 'PEER_NOT_AUTHORIZED', count: 1 },
    { role: 'client', peerId: undefined, outcome: 'FAILED', count: 1 },
  ]);
});

test('does not name a peer that only claims its ID', () => {
  const handshakes = createHandshakes();
  handshakes.refused('server', new WorkloadError('PEER_NOT_VERIFIED', 'no', { peerId: b }));
  expect(handshakes.counts()).toEqual([{ role: 'server', peerId: undefined, outcome: 'PEER_NOT_VERIFIED', count: 1 }]);
});

test('counts peers beyond its limit together', () => {
  const handshakes = createHandshakes({ maxPeers: 1 });
  for (const peer of [a, b, a, parseSpiffeId('spiffe://example.org/c')]) handshakes.accepted('server', peer);
  expect(handshakes.counts()).toEqual([
    { role: 'server', peerId: a.toString(), outcome: 'ACCEPTED', count: 2 },
    { role: 'server', peerId: undefined, outcome: 'ACCEPTED', count: 2 },
  ]);
});
