// Replaces the X.509 authorities of a tier, of every server of it: a root with all intermediates below, or the intermediate CAs of one tier.
import type { DryRunReport } from '../activities/trust/rotation.ts';
import { startRotation } from './rotation/start.ts';
import type { KeptReport } from './rotation/rotate.ts';

export function rotateX509Authority(request: unknown): Promise<KeptReport | DryRunReport> {
  return startRotation('rotateX509Authority', request);
}
