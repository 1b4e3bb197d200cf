// The activities of the `control` queue: the specification, the worker's own identity, SPIRE servers' admin API, and the workloads' own reports.
import { activityInfo } from '@temporalio/activity';
import { withServer } from '../clients/spire-server.ts';
import { failure } from '../failures.ts';
import type { Infrastructure } from '../infrastructure.ts';
import type { ControlActivities } from '../inputs.ts';
import type { Artifact } from '../plan.ts';
import { healthPort } from '../plan.ts';
import { waitUntil } from '../poll.ts';
import { parseTrustDomainSpec, SpecError } from '../spec/check-spec.ts';
import { checkAgent, checkAgents, ensureEntry, readmitAgent } from './entries.ts';
import { verifyFirstBundle } from './first-bundle.ts';
import { verifyIntermediate } from './intermediate.ts';
import { planTrustDomain } from './plan-trust-domain.ts';
import { ensureWorkerKey, removeWorkerFiles, writeAgentConfig } from './worker-identity.ts';
import type { WorkerIdentityOptions } from './worker-identity.ts';
import type { WorkerSource } from './worker-source.ts';
import { readWorkload, verifyHandshake, verifyRefusal } from './workload-proof.ts';

export interface ControlActivitiesOptions {
  readonly artifact: Artifact;
  readonly infrastructure: Infrastructure;
  readonly identity: WorkerIdentityOptions;
  readonly source: WorkerSource;
  readonly clock: () => number;
}

export function createControlActivities({
  artifact,
  infrastructure,
  identity,
  source,
  clock,
}: ControlActivitiesOptions): ControlActivities {
  return {
    async planTrustDomain({ spec }) {
      try {
        const checked = parseTrustDomainSpec(spec);
        return planTrustDomain(checked, artifact, await infrastructure.substrate(checked.infrastructure));
      } catch (cause) {
        if (cause instanceof SpecError) throw failure('InvalidRequest', cause.message, { details: [cause.faults] });
        throw cause;
      }
    },

    ensureWorkerKey: ({ trustDomain }) => ensureWorkerKey(identity, trustDomain),

    verifyFirstBundle: (input) =>
      waitUntil(`the bundle of server ${input.address}`, () => verifyFirstBundle(input, input.digests)),

    async ensureWorkerIdentity({ trustDomain, address, bundlePem }) {
      await writeAgentConfig(identity, { trustDomain, serverAddress: address, bundlePem });
      await waitUntil("the worker's own SVID", () => source.of(trustDomain));
    },

    async removeWorkerIdentity() {
      source.close();
      await removeWorkerFiles(identity);
    },

    waitForServer: ({ address }) => waitUntil(`server ${address} to be ready`, () => checkReady(address)),

    waitForAgent: (input) =>
      waitUntil(`agent ${input.agentId} to attest`, async () =>
        withServer(await source.of(input.trustDomain), input, (server) => checkAgent(server, input.agentId, clock())),
      ),

    waitForAttestedAgents: (input) =>
      waitUntil(`${input.agents.length} agents to attest by ${input.method}`, async () =>
        withServer(await source.of(input.trustDomain), input, (server) => checkAgents(server, input, clock())),
      ),

    readmitAgent: (input) =>
      waitUntil(`agent ${input.agentId} to be looked at`, async () =>
        withServer(await source.of(input.trustDomain), input, (server) =>
          readmitAgent(server, input.agentId, { now: clock(), isAgain: activityInfo().attempt > 1 }),
        ),
      ),

    // After a crash of everything the server, and the worker's own agent, may take longer to come back than a retry waits.
    ensureEntry: (input) =>
      waitUntil(`the entry of ${input.entry.spiffeId}`, async () =>
        withServer(await source.of(input.trustDomain), input, (server) => ensureEntry(server, input.entry)),
      ),

    verifyIntermediate: (input) =>
      waitUntil(`the intermediate CA of server ${input.address}`, async () =>
        verifyIntermediate(await source.of(input.trustDomain), input, clock()),
      ),

    waitForWorkload: ({ trustDomain, workload }) =>
      waitUntil(`workload ${workload.spiffeId}`, async () =>
        readWorkload(await source.of(trustDomain), trustDomain, workload, clock()),
      ),

    verifyHandshake: ({ trustDomain, from, to }) =>
      waitUntil(`the handshake of ${from.spiffeId} with ${to.spiffeId}`, async () =>
        verifyHandshake(await source.of(trustDomain), from, to),
      ),

    verifyRefusal: ({ trustDomain, workload }) =>
      waitUntil(`the refusal by ${workload.spiffeId}`, async () =>
        verifyRefusal(await source.of(trustDomain), workload, clock()),
      ),
  };
}

async function checkReady(address: string): Promise<void> {
  const url = `http://${address}:${healthPort}/ready`;
  const response = await fetch(url, { signal: AbortSignal.timeout(3_000) }).catch((cause: unknown) => {
    throw failure('NotReady', `${url}: ${cause instanceof Error ? cause.message : String(cause)}`);
  });
  if (response.status !== 200) throw failure('NotReady', `${url}: HTTP ${response.status}`);
}
