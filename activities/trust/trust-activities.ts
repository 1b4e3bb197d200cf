// The activities that change the authorities of servers and prove what holders hold: on the `control` queue, with the worker's own SVID.
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { withServer } from '../clients/spire-server.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import type { WorkerSource } from '../control/worker-source.ts';
import type { TrustDomainPlan } from '../plan.ts';
import { checkApproval } from './approval.ts';
import {
  ensureActivated,
  ensurePrepared,
  ensureReissued,
  ensureRevoked,
  ensureTainted,
  readAuthorities,
  withdrawPrepared,
} from './authorities.ts';
import { digestOfJson } from './canonical-json.ts';
import { checkRotation } from './check-rotation.ts';
import { writeReport } from './report-file.ts';
import type { OnServer, TrustActivities } from './rotation.ts';
import { surveyTrust } from './survey.ts';
import { waitForProof } from './wait-for-proof.ts';

export interface TrustActivitiesOptions {
  readonly source: WorkerSource;
  readonly planOf: (spec: unknown) => Promise<TrustDomainPlan>;
  readonly reportDirectory: string;
  readonly clock: () => number;
}

export function createTrustActivities({
  source,
  planOf,
  reportDirectory,
  clock,
}: TrustActivitiesOptions): TrustActivities {
  const on = async <T>({ trustDomain, server }: OnServer, act: (asked: SpireServer) => Promise<T>): Promise<T> =>
    withServer(await source.of(trustDomain), { trustDomain, address: server.address }, act);

  return {
    checkRotation: ({ operation, request }) => checkRotation(operation, request, planOf),
    surveyTrust: async ({ topology, request }) =>
      surveyTrust({ source: await source.of(topology.trustDomain), topology, request, clock }),
    digestPlan: async (plan) => digestOfJson(plan),
    readAuthorities: async (input) => readAuthorities(await source.of(input.trustDomain), input),
    ensurePrepared: (input) => on(input, (asked) => ensurePrepared(asked, input)),
    withdrawPrepared: (input) => on(input, (asked) => withdrawPrepared(asked, input)),
    ensureActivated: (input) => on(input, (asked) => ensureActivated(asked, input.kind, input.authorityId)),
    ensureReissued: (input) => on(input, (asked) => ensureReissued(asked, input)),
    ensureTainted: (input) => on(input, (asked) => ensureTainted(asked, input)),
    ensureRevoked: (input) => on(input, (asked) => ensureRevoked(asked, input)),
    waitForProof: (input) => waitForProof(() => source.of(input.topology.trustDomain), input, clock),
    async verifyApproval({ trustDomain, approval, policy, requester }) {
      const bundle = (await source.of(trustDomain)).bundle(parseTrustDomain(trustDomain));
      const roots = bundle.x509Authorities.map(({ asn1 }) => asn1);
      checkApproval(approval, { policy, requester, roots, now: clock() });
      const { signature, ...given } = approval;
      return { ...given, at: new Date(clock()).toISOString(), signed: signature !== undefined };
    },
    writeReport: ({ name, report }) => writeReport(reportDirectory, name, report),
  };
}
