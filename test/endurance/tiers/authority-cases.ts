// A server killed between any two steps of a forced rotation, at each of three tiers. What cannot be: under an upstream, a local X.509 authority is
// neither tainted nor revoked, and only the root has a second replica that could ask it.
import { faultPoints } from '../../../runtime/server/ca/fault-points.ts';
import type { FaultPoint } from '../../../runtime/server/ca/fault-points.ts';
import { tierNames } from './tiers.ts';
import type { TierName } from './tiers.ts';

export interface AuthorityCase {
  readonly matrix: 'authority';
  /** `authority/root/x509.prepare.published`. */
  readonly name: string;
  readonly tier: TierName;
  readonly point: FaultPoint;
}

const rootOnly = /^(?:x509\.(?:taint|revoke)|handOver)\./;

export const authorityCases: readonly AuthorityCase[] = tierNames.flatMap((tier) =>
  faultPoints
    .filter((point) => tier === 'root' || !rootOnly.test(point))
    .map((point) => ({ matrix: 'authority', name: `authority/${tier}/${point}`, tier, point })),
);
