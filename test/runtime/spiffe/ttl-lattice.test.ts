// The TTL lattice: upstream CA ≥ 6 × intermediate CA ≥ 6 × SVID.
import { describe, expect, it } from 'vitest';
import { parseDuration } from '../../../runtime/spiffe/duration.ts';
import { checkTtlLattice } from '../../../runtime/spiffe/ttl-lattice.ts';

function faultsOf(root: string, intermediate: string, x509Svid: string) {
  return checkTtlLattice({
    root: parseDuration(root),
    intermediate: parseDuration(intermediate),
    x509Svid: parseDuration(x509Svid),
  });
}

const rootFault = (message: string) => ({ place: 'root', message });
const intermediateFault = (message: string) => ({ place: 'intermediate', message });

describe('checkTtlLattice', () => {
  it.each([
    ['8760h', '12h', '1h'],
    ['36h', '6h', '1h'],
    ['36ms', '6ms', '1ms'],
  ])('holds for %s, %s, %s', (root, intermediate, x509Svid) => {
    expect(faultsOf(root, intermediate, x509Svid)).toEqual([]);
  });

  it.each([
    ['24h', '12h', '1h', [rootFault('root TTL 24h0m0s is shorter than 6 × intermediate TTL 12h0m0s')]],
    ['71h59m59s', '12h', '1h', [rootFault('root TTL 71h59m59s is shorter than 6 × intermediate TTL 12h0m0s')]],
    ['8760h', '5h', '1h', [intermediateFault('intermediate TTL 5h0m0s is shorter than 6 × X.509-SVID TTL 1h0m0s')]],
    [
      '6h',
      '3h',
      '1h',
      [
        rootFault('root TTL 6h0m0s is shorter than 6 × intermediate TTL 3h0m0s'),
        intermediateFault('intermediate TTL 3h0m0s is shorter than 6 × X.509-SVID TTL 1h0m0s'),
      ],
    ],
  ])('is broken by %s, %s, %s', (root, intermediate, x509Svid, faults) => {
    expect(faultsOf(root, intermediate, x509Svid)).toEqual(faults);
  });

  it('holds JWT-SVIDs to the intermediate as well, since its JWT key lives no longer', () => {
    const hour = 3_600_000;
    expect(checkTtlLattice({ root: 99 * hour, intermediate: 6 * hour, x509Svid: hour, jwtSvid: 2 * hour })).toEqual([
      intermediateFault('intermediate TTL 6h0m0s is shorter than 6 × JWT-SVID TTL 2h0m0s'),
    ]);
  });
});
