// Rotates the authorities of one kind: prepare a successor in time, activate it in time, or when an operator says so.
import type { Logger } from '../../log.ts';
import { AuthorityError } from './authority.ts';
import type { AuthorityState, SlotControl, SlotStates } from './authority.ts';
import { activateTime, prepareTime } from './lifetime.ts';
import { otherSlot, stateOf } from './slot.ts';
import type { Slot, SlotName, SlotStatus } from './slot.ts';

/** What differs between X.509 and JWT authorities. */
export interface AuthorityKind<S extends Slot> {
  readonly label: 'X.509 CA' | 'JWT key';
  /** Makes the key and has it published: from then on others trust it. */
  mint(name: SlotName): Promise<S>;
  /** Remembers the slots as they are now, the last one being the most important. */
  remember(slots: readonly (readonly [S, SlotStatus])[]): Promise<void>;
  taint(authorityId: string): Promise<void>;
  revoke(authorityId: string): Promise<void>;
}

export interface RestoredSlots<S extends Slot> {
  readonly active?: S | undefined;
  readonly prepared?: S | undefined;
  readonly old?: S | undefined;
}

export interface Rotation<S extends Slot> {
  /** Throws NOT_READY before the first. */
  readonly active: () => S;
  /** What time demands. */
  readonly tick: () => Promise<void>;
  /** A successor at once, whatever the time. */
  readonly replace: () => Promise<void>;
  readonly control: SlotControl;
}

export interface RotationOptions<S extends Slot> {
  readonly kind: AuthorityKind<S>;
  readonly restored: RestoredSlots<S>;
  readonly clock: () => number;
  readonly log: Logger;
  /** One act at a time, over all kinds. */
  readonly exclusively: <T>(act: () => Promise<T>) => Promise<T>;
}

export function createRotation<S extends Slot>(options: RotationOptions<S>): Rotation<S> {
  const { kind, clock, log, exclusively } = options;
  let { active, prepared, old } = options.restored;

  const prepare = async (): Promise<S> => {
    const slot = await kind.mint(active === undefined ? 'A' : otherSlot(active.name));
    // Its key took the place of the old one's.
    [prepared, old] = [slot, undefined];
    log.info(
      { authority_id: slot.authorityId, expiration: new Date(slot.notAfter).toISOString() },
      `${kind.label} prepared`,
    );
    await kind.remember([[slot, 'prepared']]);
    return slot;
  };

  const activate = async (next: S): Promise<S> => {
    const previous = active;
    [active, prepared, old] = [next, undefined, previous];
    log.info(
      { authority_id: next.authorityId, expiration: new Date(next.notAfter).toISOString() },
      `${kind.label} activated`,
    );
    await kind.remember([...(previous === undefined ? [] : [[previous, 'old'] as const]), [next, 'active']]);
    return next;
  };

  const tick = async (): Promise<void> => {
    const now = clock();
    if (active === undefined) {
      await activate(prepared ?? (await prepare()));
      return;
    }
    if (prepared === undefined && now >= prepareTime(active)) await prepare();
    if (prepared !== undefined && now >= activateTime(active)) await activate(prepared);
  };

  const named = (slot: S | undefined, authorityId: string, state: string): S => {
    if (slot?.authorityId === authorityId && authorityId !== '') return slot;
    throw new AuthorityError(
      'WRONG_STATE',
      `no ${state} ${kind.label} with authority ID ${JSON.stringify(authorityId)}`,
    );
  };

  const control: SlotControl = {
    states: (): SlotStates => ({
      ...(active === undefined ? {} : { active: stateOf(active) }),
      ...(prepared === undefined ? {} : { prepared: stateOf(prepared) }),
      ...(old === undefined ? {} : { old: stateOf(old) }),
    }),
    prepare: () => exclusively(async (): Promise<AuthorityState> => stateOf(await prepare())),
    activate: (authorityId) =>
      exclusively(async () => stateOf(await activate(named(prepared, authorityId, 'prepared')))),
    taint: (authorityId) =>
      exclusively(async () => {
        const slot = named(old, authorityId, 'old');
        await kind.taint(authorityId);
        return stateOf(slot);
      }),
    revoke: (authorityId) =>
      exclusively(async () => {
        const slot = named(old, authorityId, 'old');
        await kind.revoke(authorityId);
        old = undefined;
        return stateOf(slot);
      }),
  };

  return {
    active() {
      if (active === undefined) throw new AuthorityError('NOT_READY', `no ${kind.label} yet`);
      return active;
    },
    tick: () => exclusively(tick),
    replace: () =>
      exclusively(async () => {
        await activate(await prepare());
      }),
    control,
  };
}
