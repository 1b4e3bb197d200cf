// Makes the wanted federation relationships stand. They come before entries: an entry that federates with a trust domain needs its bundle to be there.
import { planRelationships } from '../federation/plan-relationships.ts';
import type { DeclaredRelationship, RelationshipPlan } from '../federation/plan-relationships.ts';
import type { RegistrationFault } from '../entries/wanted-entry.ts';
import type { ItemOutcome, RegistrationServer, RelationshipLedger, Say } from './ports.ts';

export interface Federating {
  readonly server: RegistrationServer;
  readonly ledger: RelationshipLedger;
  readonly takesOver: boolean;
  readonly say: Say;
}

export interface Federated {
  readonly plan: RelationshipPlan;
  readonly faults: readonly RegistrationFault[];
}

export async function federate(
  declared: readonly DeclaredRelationship[],
  { isComplete, dryRun }: { readonly isComplete: boolean; readonly dryRun: boolean },
  { server, ledger, takesOver, say }: Federating,
): Promise<Federated> {
  const [current, recorded] = [await server.listRelationships(), await ledger.read()];
  const plan = planRelationships({ declared, current, recorded, takesOver, isComplete });
  if (dryRun) return { plan, faults: plan.faults };
  // A relationship that is made and not recorded would be nobody's for ever: the record goes first.
  if (!isSame(recorded, plan.recordFirst)) await ledger.write(plan.recordFirst);
  const refusals = [
    ...(await act('created', plan.create, (list) => server.createRelationships(list))),
    ...(await act('updated', plan.update, (list) => server.updateRelationships(list))),
    ...(await act('deleted', plan.remove, (list) => server.deleteRelationships(list))),
  ];
  const isDone = refusals.length === 0;
  if (isDone && !isSame(plan.recordFirst, plan.recordAfter)) await ledger.write(plan.recordAfter);
  return { plan, faults: [...plan.faults, ...refusals] };

  async function act<T extends { readonly trustDomain: string } | string>(
    done: string,
    list: readonly T[],
    send: (list: readonly T[]) => Promise<ItemOutcome[]>,
  ): Promise<RegistrationFault[]> {
    if (list.length === 0) return [];
    const outcomes = await send(list);
    return list.flatMap((one, place) => {
      const trustDomain = typeof one === 'string' ? one : one.trustDomain;
      const { code, message } = outcomes[place] ?? { code: 'failed', message: 'the server gave no answer' };
      if (code === 'ok' || (done === 'deleted' && code === 'not found')) {
        say('info', `federation relationship ${done}`, { trustDomain });
        return [];
      }
      return [{ by: `federation with ${trustDomain}`, field: done, reason: message }];
    });
  }
}

function isSame(a: Readonly<Record<string, string>>, b: typeof a): boolean {
  const [first, second] = [Object.entries(a), Object.entries(b)];
  return first.length === second.length && first.every(([name, value]) => b[name] === value);
}
