// Our kinds as activities make and unmake them: applied and waited for until they are ready, deleted and waited for until they are gone. What a claim is
// composed of is the claim's: it is waited for, and neither changed nor deleted.
import { failure } from '../../failures.ts';
import { waitUntil } from '../../poll.ts';
import { explain, unreadiness } from './readiness.ts';
import type { AppliedObject, CompositeObject, Kind, Objects } from './objects.ts';

export const manager = 'espalier';
const pollMs = 1_000;
/** Parts are asked less often than the whole: there may be many. */
const explainEvery = 5;

export interface Composites {
  /** Applied, unless a claim has it composed, and ready. */
  ensure(object: AppliedObject): Promise<CompositeObject>;
  /** Some fields of one that is there, whoever wanted them before, and ready as it is then. */
  change(object: AppliedObject, reason: string): Promise<void>;
  remove(kind: Kind, name: string): Promise<void>;
}

export function createComposites(objects: Objects): Composites {
  async function waitForReady(kind: Kind, name: string): Promise<CompositeObject> {
    let turn = 0;
    let detail: string | undefined;
    const probe = async (): Promise<CompositeObject> => {
      const object = await objects.get(kind, name);
      if (object === undefined) throw failure('NotReady', `${kind} ${name} is not there`);
      const reason = unreadiness(object);
      if (reason === undefined) return object;
      if (turn % explainEvery === 0) detail = await explain(objects, object);
      turn += 1;
      throw failure('NotReady', detail ?? `${kind} ${name} ${reason}`);
    };
    return waitUntil(`${kind} ${name}`, probe, pollMs);
  }

  return {
    async ensure(object) {
      const { kind, name } = object;
      await waitUntil(`${kind} ${name} to be taken`, async () => {
        const existing = await objects.get(kind, name);
        if (existing?.metadata.deletionTimestamp !== undefined)
          throw failure('NotReady', `${kind} ${name} is being deleted since ${existing.metadata.deletionTimestamp}`);
        if (existing === undefined || !isComposed(existing)) await objects.apply(object, { manager, force: false });
      });
      return waitForReady(kind, name);
    },

    async change(object, reason) {
      await waitUntil(`${object.kind} ${object.name} to be taken`, () =>
        objects.apply(object, { manager: `${manager}-${reason}`, force: true }),
      );
      await waitForReady(object.kind, object.name);
    },

    async remove(kind, name) {
      let turn = 0;
      await waitUntil(
        `${kind} ${name} to be gone`,
        async () => {
          const object = await objects.get(kind, name);
          if (object === undefined || isComposed(object)) return;
          if (object.metadata.deletionTimestamp === undefined) await objects.remove(kind, name);
          const detail = turn % explainEvery === explainEvery - 1 ? await explain(objects, object) : undefined;
          turn += 1;
          throw failure('NotReady', `${kind} ${name} is not gone yet${detail === undefined ? '' : `: ${detail}`}`);
        },
        pollMs,
      );
    },
  };
}

/** Whether it is a part of a composite resource: a trust domain that was claimed. */
export function isComposed({ metadata }: CompositeObject): boolean {
  return (metadata.ownerReferences ?? []).some(
    ({ apiVersion, controller }) => controller === true && apiVersion.startsWith('espalier.io/'),
  );
}
