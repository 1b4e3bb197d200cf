// Gives a segment's downstream servers their intermediate CA: the upstream learns that they may ask for one, they ask over their own agent,
// and the chain that they then show is verified. Key material never passes through here: it never leaves the servers.
import type { CertificateReport } from '../activities/inputs.ts';
import type { Instance, SegmentPlan, TrustDomainPlan } from '../activities/plan.ts';
import { onControl } from './lib/calls.ts';
import { settleAll } from './lib/saga.ts';

export interface IssueIntermediateInput {
  readonly plan: TrustDomainPlan;
  readonly segment: SegmentPlan;
  readonly upstreamAddress: string;
  readonly servers: readonly Instance[];
}

export interface IssuedIntermediate {
  readonly server: string;
  readonly intermediate: CertificateReport;
}

export async function issueIntermediate({
  plan,
  segment,
  upstreamAddress,
  servers,
}: IssueIntermediateInput): Promise<IssuedIntermediate[]> {
  const { trustDomain } = plan.spec;
  const { ensureEntry, waitForServer, verifyIntermediate } = onControl('spire');
  return settleAll(
    servers.map(async ({ name, agentId, address }) => {
      const entry = {
        spiffeId: segment.downstreamId,
        parentId: agentId,
        selectors: segment.downstreamSelectors,
        downstream: true,
      };
      await ensureEntry({ trustDomain, address: upstreamAddress, entry });
      await waitForServer({ trustDomain, address });
      return {
        server: name,
        intermediate: await verifyIntermediate({ trustDomain, address, caTtl: segment.pool.caTtl }),
      };
    }),
  );
}
