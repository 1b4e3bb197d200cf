// Replaces an authority whose key is compromised: the same steps as a rotation with no soak, and whoever is not reached in time is left behind, by name.
import type { DryRunReport } from '../activities/trust/rotation.ts';
import { startRotation } from './rotation/start.ts';
import type { KeptReport } from './rotation/rotate.ts';

export function distrustAuthority(request: unknown): Promise<KeptReport | DryRunReport> {
  return startRotation('distrustAuthority', request);
}
