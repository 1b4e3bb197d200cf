// The TTL lattice: an authority lives at least six times as long as what it signs, or rotation cannot keep ahead of expiry.
import { formatDuration } from './duration.ts';

export interface TtlLattice {
  readonly root: number;
  readonly intermediate: number;
  readonly x509Svid: number;
  /** A JWT key lives as long as the CA beside it; absent where no JWT-SVIDs are issued. */
  readonly jwtSvid?: number;
}

export interface TtlFault {
  /** The level that is too short. */
  readonly place: 'root' | 'intermediate';
  readonly message: string;
}

/** An authority signs for at most a sixth of its life before its successor takes over, as in SPIRE. */
const minRatio = 6;

/** Every broken level; empty when the lattice holds. */
export function checkTtlLattice({ root, intermediate, x509Svid, jwtSvid = 0 }: TtlLattice): readonly TtlFault[] {
  const faults: TtlFault[] = [];
  if (!(root >= minRatio * intermediate)) {
    faults.push({ place: 'root', message: tooShort('root', root, 'intermediate', intermediate) });
  }
  if (!(intermediate >= minRatio * x509Svid)) {
    faults.push({ place: 'intermediate', message: tooShort('intermediate', intermediate, 'X.509-SVID', x509Svid) });
  }
  if (!(intermediate >= minRatio * jwtSvid)) {
    faults.push({ place: 'intermediate', message: tooShort('intermediate', intermediate, 'JWT-SVID', jwtSvid) });
  }
  return faults;
}

function tooShort(upper: string, upperTtl: number, lower: string, lowerTtl: number): string {
  return `${upper} TTL ${formatDuration(upperTtl)} is shorter than ${minRatio} × ${lower} TTL ${formatDuration(lowerTtl)}`;
}
