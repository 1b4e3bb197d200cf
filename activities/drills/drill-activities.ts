// The activities that drills break, look and mend with: on the `control` queue, with the worker's own SVID and, for what the lab breaks, the lab's own word.
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import type { Infrastructure } from '../infrastructure.ts';
import { askTier } from '../trust/ask-tier.ts';
import type { TrustActivitiesOptions } from '../trust/trust-activities.ts';
import { askAlert } from './ask-alert.ts';
import { awaitEnd, breakForDrill } from './await-end.ts';
import { checkDrill } from './check-drill.ts';
import type { DrillActivities } from './drill.ts';
import { findRunbook } from './find-runbook.ts';
import { ensureWorkloadEntries, readWorkloadEntries, removeWorkloadEntries } from './kept-entries.ts';
import { lookAtDrill } from './look.ts';

export interface DrillActivitiesOptions extends Pick<TrustActivitiesOptions, 'source' | 'planOf' | 'clock'> {
  readonly infrastructure: Pick<Infrastructure, 'faults'>;
}

export function createDrillActivities({
  source,
  planOf,
  clock,
  infrastructure,
}: DrillActivitiesOptions): DrillActivities {
  return {
    checkDrill: ({ request }) => checkDrill(request, planOf),
    checkFaults: async ({ infrastructure: where, kinds }) => (await infrastructure.faults(where)).check(kinds),
    async ensureFault({ infrastructure: where, fault }) {
      const lab = await infrastructure.faults(where);
      await breakForDrill(
        Context.current(),
        () => lab.ensure(fault),
        () => lab.remove(fault),
      );
    },
    removeFault: async ({ infrastructure: where, fault }) => (await infrastructure.faults(where)).remove(fault),
    lookAtDrill: async (input) => lookAtDrill(await source.of(input.topology.trustDomain), input, clock),
    readWorkloadEntries: async ({ trustDomain, tier, spiffeId }) =>
      askTier(await source.of(trustDomain), trustDomain, tier, (server) => readWorkloadEntries(server, spiffeId)),
    ensureWorkloadEntries: async ({ trustDomain, tier, entries }) =>
      askTier(await source.of(trustDomain), trustDomain, tier, (server) => ensureWorkloadEntries(server, entries)),
    removeWorkloadEntries: async ({ trustDomain, tier, within, ...deletion }) =>
      askTier(await source.of(trustDomain), trustDomain, tier, (server) =>
        breakForDrill(
          Context.current(),
          () => removeWorkloadEntries(server, { ...deletion, withinMs: parseDuration(within) }, { clock, sleep }),
          () => ensureWorkloadEntries(server, deletion.entries),
        ),
      ),
    askAlert,
    findRunbook: (input) => findRunbook(Context.current().client, input),
    awaitEnd: (input) => awaitEnd(Context.current(), input),
  };
}
