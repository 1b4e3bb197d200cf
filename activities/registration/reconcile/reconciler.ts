// One reconciler for custom resources and plain objects, of all clusters together: what is wanted, against what the server has. A round is idempotent: with
// nothing changed it does nothing. A dry run makes the same plan and changes nothing, on the server or in a cluster.
import { changedStatuses } from '../custom-resources/statuses.ts';
import { guardRemoval } from '../entries/deletion-guard.ts';
import type { GuardedRemoval, GuardRules } from '../entries/deletion-guard.ts';
import type { OwnerOf } from '../entries/ownership.ts';
import { planEntries } from '../entries/plan-entries.ts';
import type { EntryPlan } from '../entries/plan-entries.ts';
import type { RegistrationFault } from '../entries/wanted-entry.ts';
import { nameOf } from '../entries/wanted-entry.ts';
import { applyEntries } from './apply-entries.ts';
import type { Applied } from './apply-entries.ts';
import { federate } from './federate.ts';
import { createKnownEntries } from './known-entries.ts';
import type { ClusterSource, ClusterView, RegistrationServer, RelationshipLedger, Say } from './ports.ts';
import { createRetries } from './retries.ts';

export interface ReconcilerOptions {
  readonly server: RegistrationServer;
  readonly clusters: readonly ClusterSource[];
  readonly ledger: RelationshipLedger;
  readonly ownerOf: OwnerOf;
  readonly entryIdPrefix: string;
  /** Relationships that stand already become ours where a resource asks for them. */
  readonly takesOver: boolean;
  readonly guard: GuardRules;
  readonly dryRun: boolean;
  readonly relistMs: number;
  readonly clock: () => number;
  readonly createUuid: () => string;
  readonly say: Say;
}

export interface Round {
  /** Clusters whose objects are not all known yet. */
  readonly waitingFor: readonly string[];
  readonly plan: EntryPlan;
  readonly held: GuardedRemoval['held'];
  readonly applied: Applied;
  readonly faults: readonly RegistrationFault[];
  /** When something that failed is due again. */
  readonly retryAt: number | undefined;
}

export interface Reconciler {
  /** Throws where the server or a cluster does not answer; nothing is known of the entries then, and the next round lists them. */
  round(): Promise<Round>;
}

/** Of one round: a template that fits no pod has a fault for each. */
const mostTold = 50;

const nothingDone: Applied = { created: 0, updated: 0, removed: 0, failed: [] };

export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { clusters, ownerOf, guard, dryRun, clock, say } = options;
  const accepted = new Set(guard.accepted);
  const known = createKnownEntries(options);
  const retries = createRetries(clock);
  let toldFaults = new Set<string>();

  return {
    async round() {
      try {
        return await round();
      } catch (cause) {
        known.forget();
        throw cause;
      }
    },
  };

  async function round(): Promise<Round> {
    const views = clusters.map((cluster) => ({ cluster, view: cluster.view() }));
    const seen = views.flatMap(({ cluster, view }) => (view === undefined ? [] : [{ cluster, view }]));
    const federated = await federateAll(seen);
    const current = await known.list();
    const plan = planEntries({
      declared: seen.flatMap(({ view }) => view.declared),
      current,
      ownerOf,
      known: new Set(seen.map(({ cluster }) => cluster.name)),
    });
    const { remove, held } = guardRemoval(plan.remove, countOwned(current.map(ownerOf)), { ...guard, accepted });
    const wanted = new Set([...plan.create, ...plan.update].map(({ entry }) => entry.key));
    retries.keepOnly((key) => wanted.has(key));
    const applied = dryRun ? nothingDone : await applyEntries({ ...plan, remove }, { ...options, known, retries });
    // A loss is accepted once, not for as long as the process runs.
    if (!dryRun) remove.forEach(({ owner }) => accepted.delete(owner));
    if (!dryRun) await writeStatuses(seen, plan, applied);
    const faults = [
      ...seen.flatMap(({ view }) => view.faults),
      ...federated,
      ...takenFaults(plan),
      ...heldFaults(held),
    ];
    tell(faults, applied);
    const waitingFor = views.flatMap(({ cluster, view }) => (view === undefined ? [cluster.name] : []));
    return { waitingFor, plan, held, applied, faults, retryAt: retries.nextAt() };
  }

  /** Only where some cluster may federate: nobody else needs the right to read relationships. */
  async function federateAll(seen: readonly Seen[]): Promise<readonly RegistrationFault[]> {
    const federating = clusters.filter(({ federates }) => federates);
    if (federating.length === 0) return [];
    const isComplete = federating.every((one) => seen.some(({ cluster }) => cluster === one));
    const declared = seen.flatMap(({ view }) => view.relationships);
    return (await federate(declared, { isComplete, dryRun }, options)).faults;
  }

  async function writeStatuses(seen: readonly Seen[], plan: EntryPlan, { failed }: Applied): Promise<void> {
    const outcome = {
      masked: plan.masked,
      toSet: [...plan.standing, ...plan.create, ...plan.update, ...plan.taken],
      failed: [...failed, ...plan.taken],
    };
    for (const { cluster, view } of seen) {
      const statuses = changedStatuses(view.resources, outcome);
      if (statuses.length > 0) await cluster.writeStatuses(statuses);
    }
  }

  /** A fault is told when it comes, not with every round. */
  function tell(faults: readonly RegistrationFault[], { created, updated, removed }: Applied): void {
    const now = new Set(faults.map(textOf));
    const news = faults.filter((fault) => !toldFaults.has(textOf(fault)));
    for (const fault of news.slice(0, mostTold)) say('warn', 'cannot be registered', { ...fault });
    if (news.length > mostTold) say('warn', 'more cannot be registered', { more: news.length - mostTold });
    toldFaults = now;
    if (created + updated + removed > 0) say('info', 'entries changed', { created, updated, removed });
  }
}

interface Seen {
  readonly cluster: ClusterSource;
  readonly view: ClusterView;
}

const textOf = ({ by, field, reason }: RegistrationFault): string => [by, field, reason].join('\0');

function countOwned(owners: readonly (string | undefined)[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const owner of owners) if (owner !== undefined) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return counts;
}

function takenFaults({ taken }: EntryPlan): RegistrationFault[] {
  return taken.map(({ by, entry, id, fields }) => ({
    by: nameOf(by),
    field: fields.join(', '),
    reason: `entry ${id} for ${entry.spiffeId} is somebody else's and otherwise`,
  }));
}

function heldFaults(held: GuardedRemoval['held']): RegistrationFault[] {
  return held.map(({ cluster, wouldGo, of }) => ({
    by: cluster,
    field: 'entries',
    reason: `${wouldGo} of ${of} would go at once and are kept: start with --accept-loss ${cluster} where that is meant`,
  }));
}
