// Asks a tier: any of its servers knows what all of them know, so the first that answers will do.
import { ApplicationFailure } from '@temporalio/common';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { withServer } from '../clients/spire-server.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { failure, reasonOf } from '../failures.ts';
import type { Tier } from './topology.ts';

export async function askTier<T>(
  source: X509Source,
  trustDomain: string,
  { name, servers }: Tier,
  act: (server: SpireServer) => Promise<T>,
): Promise<T> {
  const reasons: string[] = [];
  for (const { address } of servers) {
    try {
      return await withServer(source, { trustDomain, address }, act);
    } catch (cause) {
      if (cause instanceof ApplicationFailure && cause.nonRetryable === true) throw cause;
      reasons.push(reasonOf(cause));
    }
  }
  throw failure('Unavailable', `no server of tier ${name} answers: ${reasons.join('; ')}`);
}
