// Forced rotation that may be asked of any server on the database: the one that holds the authority acts, and the call returns once every live server
// has applied what was done.
import type { AuthorityAct, AuthorityKindName, HeldAuthorities, ReplicaRecord } from '../store/records.ts';
import type { ReplicaStore } from '../store/store.ts';
import { AuthorityError } from './authority.ts';
import type { AuthorityState, SlotControl } from './authority.ts';
import type { FaultHook } from './fault-points.ts';
import type { HandOver } from './hand-over.ts';

/** The acts of localauthority.v1 on the authorities of all servers of the tier. */
export interface SharedControl {
  /** Of this server. */
  readonly states: () => HeldAuthorities;
  /** Of the server that holds this authority, in whichever slot; of this one where none does. Throws REPLICA_UNAVAILABLE where a dead one does. */
  statesWith(authorityId: string): Promise<HeldAuthorities>;
  /** Of all live servers, this one included. */
  everywhere(): Promise<readonly HeldAuthorities[]>;
  /** On this server, as in SPIRE. */
  prepare(): Promise<AuthorityState>;
  activate(authorityId: string): Promise<AuthorityState>;
  taint(authorityId: string): Promise<AuthorityState>;
  revoke(authorityId: string): Promise<AuthorityState>;
  withdraw(authorityId: string): Promise<AuthorityState>;
}

export interface SharedControlOptions {
  readonly kind: AuthorityKindName;
  readonly own: SlotControl;
  readonly handOver: Pick<HandOver, 'ask'>;
  readonly replicas: Pick<ReplicaStore, 'listReplicas'>;
  readonly replicaId: string;
  /** Here, and at every other live server. */
  readonly appliedEverywhere: () => Promise<void>;
  /** As in SPIRE, a tainted JWT key that no server holds any more can be revoked by any of them. */
  readonly revokeUnheld?: ((authorityId: string) => Promise<AuthorityState>) | undefined;
  readonly faultPoint?: FaultHook | undefined;
}

export function createSharedControl(options: SharedControlOptions): SharedControl {
  const { kind, own, handOver, replicas, replicaId, appliedEverywhere, revokeUnheld, faultPoint } = options;

  const holder = async (authorityId: string): Promise<ReplicaRecord | undefined> => {
    if (authorityId === '') return undefined;
    const holders = (await replicas.listReplicas()).filter(({ authorities }) => has(authorities[kind], authorityId));
    const others = holders.filter(({ id }) => id !== replicaId);
    const dead = others.find(({ isLive }) => !isLive);
    const live = others.find(({ isLive }) => isLive);
    if (live !== undefined || dead === undefined) return live;
    const since = new Date(dead.heartbeatAt * 1000).toISOString();
    throw new AuthorityError(
      'REPLICA_UNAVAILABLE',
      `server ${dead.id}, which holds authority ${authorityId}, has given no sign of life since ${since}`,
    );
  };

  const act = async (name: AuthorityAct, authorityId: string): Promise<AuthorityState> => {
    const isOurs = has(own.states(), authorityId);
    const owner = isOurs ? undefined : await holder(authorityId);
    // A successor must be known everywhere before anything is signed with it.
    if (name === 'activate') await appliedEverywhere();
    const here = isOurs || name !== 'revoke' ? own[name] : (revokeUnheld ?? own.revoke);
    const state = await (owner === undefined
      ? here(authorityId)
      : handOver.ask(owner.id, { kind, act: name, authorityId }));
    await appliedEverywhere();
    if (name !== 'activate') await faultPoint?.(`${kind}.${name}.applied`);
    return state;
  };

  return {
    states: own.states,
    async statesWith(authorityId) {
      if (has(own.states(), authorityId)) return own.states();
      return (await holder(authorityId))?.authorities[kind] ?? own.states();
    },
    async everywhere() {
      const live = (await replicas.listReplicas()).filter(({ isLive, id }) => isLive && id !== replicaId);
      return [own.states(), ...live.map(({ authorities }) => authorities[kind])];
    },
    prepare: own.prepare,
    activate: (authorityId) => act('activate', authorityId),
    taint: (authorityId) => act('taint', authorityId),
    revoke: (authorityId) => act('revoke', authorityId),
    withdraw: (authorityId) => act('withdraw', authorityId),
  };
}

function has({ active, prepared, old }: HeldAuthorities, authorityId: string): boolean {
  return [active, prepared, old].some((held) => held?.authorityId === authorityId);
}
