// Changes of federation: a bundle that is updated, relationships that come, change and go.
import { randomUUID } from 'node:crypto';
import { FederationRelationshipMask } from '../../../proto/gen/spire/api/types/federationrelationship.ts';
import type { FederationRelationship } from '../../../proto/gen/spire/api/types/federationrelationship.ts';
import { alreadyExists, checkResults, exists, newForeignBundles, notFound, outputMask, share } from './change.ts';
import type { Prepare } from './change.ts';
import type { CutStage } from './cut-stage.ts';

/** Nobody listens there: what is fetched in the background comes to nothing. */
const nobody = 'https://127.0.0.1:1/bundle';
const elsewhere = 'https://127.0.0.1:2/bundle';

function newRelationship(): FederationRelationship {
  return {
    trustDomain: `${randomUUID()}.test`,
    bundleEndpointUrl: nobody,
    bundleEndpointProfile: { $case: 'httpsWeb', value: {} },
    trustDomainBundle: undefined,
  };
}

async function create({ federation }: CutStage, wanted: readonly FederationRelationship[]): Promise<void> {
  const federationRelationships = [...wanted];
  const { results } = await federation.batchCreateFederationRelationship({ federationRelationships, outputMask });
  checkResults(results, alreadyExists);
}

export const federationChanges = {
  async BatchUpdateFederatedBundle({ bundle }) {
    const [before] = newForeignBundles();
    checkResults((await bundle.batchCreateFederatedBundle({ bundle: [before!], outputMask })).results);
    const wanted = { bundle: [{ ...before!, refreshHint: 90 }], inputMask: undefined, outputMask };
    return {
      make: async () => checkResults((await bundle.batchUpdateFederatedBundle(wanted)).results),
      async measure() {
        const { trustDomain } = before!;
        return Number((await bundle.getFederatedBundle({ trustDomain, outputMask })).refreshHint === 90);
      },
    };
  },
  async BatchCreateFederationRelationship(stage) {
    const wanted = [newRelationship()];
    return {
      make: () => create(stage, wanted),
      measure: () =>
        share(wanted, ({ trustDomain }) =>
          exists(() => stage.federation.getFederationRelationship({ trustDomain, outputMask })),
        ),
    };
  },
  async BatchUpdateFederationRelationship(stage) {
    const before = newRelationship();
    await create(stage, [before]);
    const { trustDomain } = before;
    const federationRelationships = [{ ...before, bundleEndpointUrl: elsewhere }];
    const inputMask = FederationRelationshipMask.create({ bundleEndpointUrl: true });
    const asked = { federationRelationships, inputMask, outputMask };
    return {
      make: async () => checkResults((await stage.federation.batchUpdateFederationRelationship(asked)).results),
      async measure() {
        const now = await stage.federation.getFederationRelationship({ trustDomain, outputMask });
        return Number(now.bundleEndpointUrl === elsewhere);
      },
    };
  },
  async BatchDeleteFederationRelationship(stage) {
    const before = newRelationship();
    await create(stage, [before]);
    const trustDomains = [before.trustDomain];
    return {
      make: async () =>
        checkResults((await stage.federation.batchDeleteFederationRelationship({ trustDomains })).results, notFound),
      measure: () =>
        share(
          trustDomains,
          async (trustDomain) =>
            !(await exists(() => stage.federation.getFederationRelationship({ trustDomain, outputMask }))),
        ),
    };
  },
} satisfies Readonly<Record<string, Prepare>>;
