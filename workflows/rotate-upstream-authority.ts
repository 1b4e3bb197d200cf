// Moves a tier to the new CA of an upstream that is not ours, such as an enterprise CA on disk: whoever runs it has given it its new CA before.
import type { DryRunReport } from '../activities/trust/rotation.ts';
import { startRotation } from './rotation/start.ts';
import type { KeptReport } from './rotation/rotate.ts';

export function rotateUpstreamAuthority(request: unknown): Promise<KeptReport | DryRunReport> {
  return startRotation('rotateUpstreamAuthority', request);
}
