// The activities of the `control` queue for updates of a living trust domain.
import { withServer } from '../clients/spire-server.ts';
import { deleteEntries, listDownstreamEntries, listEntriesBelow, listEntriesOf } from '../control/entries.ts';
import type { TrustActivitiesOptions } from '../trust/trust-activities.ts';
import { checkUpdate } from './check-update.ts';
import { compareDomain } from './compare.ts';
import type { UpdateActivities } from './update.ts';

export function createUpdateActivities({
  source,
  planOf,
}: Pick<TrustActivitiesOptions, 'source' | 'planOf'>): UpdateActivities {
  return {
    checkUpdate: ({ request }) => checkUpdate(request, planOf),
    compareDomain: async (input) => compareDomain(input),
    listEntries: async (input) =>
      withServer(await source.of(input.trustDomain), input, (server) => listEntriesBelow(server, input.parentId)),
    listEntriesOf: async (input) =>
      withServer(await source.of(input.trustDomain), input, (server) => listEntriesOf(server, input.spiffeId)),
    listDownstreamEntries: async (input) =>
      withServer(await source.of(input.trustDomain), input, listDownstreamEntries),
    deleteEntries: async (input) =>
      withServer(await source.of(input.trustDomain), input, (server) => deleteEntries(server, input.ids)),
  };
}
