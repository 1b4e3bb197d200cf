// Trust on first use: cloud evidence can be copied from the node, so it makes an agent once and never again until that agent is evicted.
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { deniedEvidence } from './attest-error.ts';
import type { AttestContext, AttestLog } from './attestor.ts';

export async function checkFirstUse(id: SpiffeId, context: AttestContext, log: AttestLog): Promise<void> {
  if (!(await context.hasAttested(id))) return;
  log.warn({ spiffe_id: id.toString() }, 'attestation data has already been used to attest an agent');
  // The evidence is sound, so whoever shows it may learn which agent it made, and how its node gets in again.
  throw deniedEvidence(
    'ALREADY_ATTESTED',
    `attestation data has already been used to attest an agent; to let its node attest again: spire-server agent evict -spiffeID ${id.toString()}`,
  );
}
