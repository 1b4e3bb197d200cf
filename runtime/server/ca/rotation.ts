// Rotates the authorities of one kind: prepare a successor in time, activate it in time, or when an operator says so, or when the bundle no longer
// vouches for the one that signs.
import type { Logger } from '../../log.ts';
import { AuthorityError } from './authority.ts';
import type { AuthorityState, SlotControl, SlotStates } from './authority.ts';
import type { FaultHook } from './fault-points.ts';
import { activateTime, prepareTime } from './lifetime.ts';
import { otherSlot, stateOf } from './slot.ts';
import type { Slot, SlotName, SlotStatus } from './slot.ts';
import type { Vouching } from './vouching.ts';

/** What differs between X.509 and JWT authorities. */
export interface AuthorityKind<S extends Slot> extends Vouching<S> {
  readonly name: 'x509' | 'jwt';
  readonly label: 'X509 CA' | 'JWT key';
  /** Makes the key and has it published: from then on others trust it. */
  mint(name: SlotName): Promise<S>;
  /** Remembers the slots as they are now, the last one being the most important. */
  remember(slots: readonly (readonly [S, SlotStatus])[]): Promise<void>;
  forget(slot: S): Promise<void>;
  taint(authorityId: string): Promise<void>;
  revoke(authorityId: string): Promise<void>;
  /** Nothing was signed with it: nobody has to be told beforehand. */
  withdraw(slot: S): Promise<void>;
  /** Throws TTL_LATTICE where an SVID of default lifetime would outlive it. */
  checkRemaining(slot: S): void;
}

export interface RestoredSlots<S extends Slot> {
  readonly active?: S | undefined;
  readonly prepared?: S | undefined;
  readonly old?: S | undefined;
}

export interface Rotation<S extends Slot> {
  /** Throws NOT_READY before the first. */
  readonly active: () => S;
  /** The active one, to sign with. Throws NOT_READY where our bundle does not vouch for it. */
  readonly signing: () => S;
  /** Slots whose authorities are gone from the bundle are empty afterwards; the active one is the next tick's matter, and signs nothing until then. */
  readonly forgetUnpublished: () => void;
  /** What time and the bundle demand. */
  readonly tick: () => Promise<void>;
  /** Another one signs afterwards where the active one is about to be tainted. */
  readonly replaceIf: (isDoomed: (slot: S) => boolean) => Promise<void>;
  readonly control: SlotControl;
}

export interface RotationOptions<S extends Slot> {
  readonly kind: AuthorityKind<S>;
  readonly restored: RestoredSlots<S>;
  readonly clock: () => number;
  readonly log: Logger;
  /** One act at a time, over all kinds. */
  readonly exclusively: <T>(act: () => Promise<T>) => Promise<T>;
  /** It signs from then on. */
  readonly beforeActivation?: (slot: S) => Promise<void>;
  /** It signs no more. */
  readonly onRetired?: (slot: S) => Promise<void>;
  readonly faultPoint?: FaultHook | undefined;
}

export function createRotation<S extends Slot>(options: RotationOptions<S>): Rotation<S> {
  const { kind, clock, log, exclusively, beforeActivation, onRetired, faultPoint } = options;
  let { active, prepared, old } = options.restored;

  const prepare = async (): Promise<S> => {
    // Its key is about to be replaced.
    prepared = undefined;
    const taken = active ?? old;
    const slot = await kind.mint(taken === undefined ? 'A' : otherSlot(taken.name));
    prepared = slot;
    if (old?.name === slot.name) old = undefined;
    await faultPoint?.(`${kind.name}.prepare.filled`);
    log.info(describe(slot), `${kind.label} prepared`);
    await kind.remember([[slot, 'prepared']]);
    await faultPoint?.(`${kind.name}.prepare.noted`);
    return slot;
  };

  const activate = async (next: S): Promise<S> => {
    kind.checkRemaining(next);
    await beforeActivation?.(next);
    const previous = active;
    [active, prepared, old] = [next, undefined, previous ?? old];
    await faultPoint?.(`${kind.name}.activate.swapped`);
    log.info(describe(next), `${kind.label} activated`);
    if (kind.name === 'x509') log.debug({ ttl: (next.notAfter - clock()) / 1000 }, 'Successfully rotated X.509 CA');
    await kind.remember([...(previous === undefined ? [] : [[previous, 'old'] as const]), [next, 'active']]);
    await faultPoint?.(`${kind.name}.activate.noted`);
    if (previous !== undefined) await onRetired?.(previous);
    await faultPoint?.(`${kind.name}.activate.settled`);
    return next;
  };

  const livesLongEnough = (slot: S): boolean => {
    try {
      kind.checkRemaining(slot);
      return true;
    } catch (error) {
      if (error instanceof AuthorityError && error.code === 'TTL_LATTICE') return false;
      throw error;
    }
  };

  /** The prepared one where it will do, else a fresh one. */
  const successor = async (isDoomed = kind.isTainted): Promise<S> => {
    if (prepared !== undefined && !isDoomed(prepared) && livesLongEnough(prepared)) return prepared;
    if (prepared !== undefined) log.info(describe(prepared), `Next ${kind.label} cannot be used, preparing another`);
    return prepare();
  };

  const replaceIf = async (isDoomed: (slot: S) => boolean): Promise<void> => {
    if (active === undefined || !isDoomed(active)) return;
    log.info(describe(active), taintMessage[kind.name]);
    await activate(await successor(isDoomed));
  };

  /** What is gone from the bundle was revoked, or belongs to a time before the database was restored: nobody may come across it again. */
  const forgetUnpublished = (): void => {
    if (old !== undefined && !kind.isPublished(old)) old = undefined;
    if (prepared !== undefined && !kind.isPublished(prepared)) prepared = undefined;
  };

  const replaceUnpublished = (): void => {
    forgetUnpublished();
    if (active === undefined || kind.isPublished(active)) return;
    log.warn(describe(active), `${kind.label} is gone from the bundle, replacing it`);
    active = undefined;
  };

  const tick = async (): Promise<void> => {
    replaceUnpublished();
    if (active === undefined) {
      await activate(await successor());
      return;
    }
    await replaceIf(kind.isTainted);
    const now = clock();
    if (prepared === undefined && now >= prepareTime(active)) await prepare();
    if (prepared !== undefined && now >= activateTime(active)) await activate(await successor());
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
      exclusively(async () => {
        const slot = named(prepared, authorityId, 'prepared');
        if (kind.isPublished(slot) && !kind.isTainted(slot)) return stateOf(await activate(slot));
        throw new AuthorityError('WRONG_STATE', `${kind.label} ${authorityId} is tainted or not in the bundle`);
      }),
    taint: (authorityId) =>
      exclusively(async () => {
        const slot = named(old, authorityId, 'old');
        await kind.taint(authorityId);
        await faultPoint?.(`${kind.name}.taint.stored`);
        return stateOf(slot);
      }),
    revoke: (authorityId) =>
      exclusively(async () => {
        const slot = named(old, authorityId, 'old');
        await kind.revoke(authorityId);
        await faultPoint?.(`${kind.name}.revoke.stored`);
        old = undefined;
        await faultPoint?.(`${kind.name}.revoke.forgotten`);
        return stateOf(slot);
      }),
    withdraw: (authorityId) =>
      exclusively(async () => {
        const slot = named(prepared, authorityId, 'prepared');
        await kind.withdraw(slot);
        await faultPoint?.(`${kind.name}.withdraw.stored`);
        prepared = undefined;
        await kind.forget(slot);
        log.info(describe(slot), `${kind.label} withdrawn`);
        await faultPoint?.(`${kind.name}.withdraw.forgotten`);
        return stateOf(slot);
      }),
  };

  const current = (): S => {
    if (active === undefined) throw new AuthorityError('NOT_READY', `no ${kind.label} yet`);
    return active;
  };
  return {
    active: current,
    signing() {
      const slot = current();
      if (kind.isPublished(slot)) return slot;
      throw new AuthorityError('NOT_READY', `${kind.label} ${slot.authorityId} is not in the published bundle`);
    },
    forgetUnpublished,
    tick: () => exclusively(tick),
    replaceIf: (isDoomed) => exclusively(() => replaceIf(isDoomed)),
    control,
  };
}

const taintMessage = {
  x509: 'Current root CA is signed by a tainted upstream authority, preparing rotation',
  jwt: 'Current JWT key is tainted, preparing rotation',
} as const;

function describe({ name, authorityId, upstreamAuthorityId, issuedAt, notAfter }: Slot) {
  return {
    slot: name,
    issued_at: new Date(issuedAt).toISOString(),
    expiration: new Date(notAfter).toISOString(),
    local_authority_id: authorityId,
    ...(upstreamAuthorityId === undefined ? {} : { upstream_authority_id: upstreamAuthorityId }),
  };
}
