// Replaces the JWT keys of a tier, of every server of it.
import type { DryRunReport } from '../activities/trust/rotation.ts';
import { startRotation } from './rotation/start.ts';
import type { KeptReport } from './rotation/rotate.ts';

export function rotateJwtAuthority(request: unknown): Promise<KeptReport | DryRunReport> {
  return startRotation('rotateJwtAuthority', request);
}
