// Forced rotation over all servers of the tier: this server's slots, the others' through them, and the roots of the upstream that all stand under.
import type { AuthorityContext } from './authority-context.ts';
import { AuthorityError } from './authority.ts';
import type { CertificateAuthority, SlotControl } from './authority.ts';
import { createHandOver } from './hand-over.ts';
import { createSharedControl } from './shared-control.ts';

export interface TierControl extends Pick<CertificateAuthority, 'x509' | 'jwt' | 'x509Upstream'> {
  readonly close: () => Promise<void>;
}

export interface TierControlOptions {
  readonly context: Pick<AuthorityContext, 'store' | 'log' | 'trustDomain' | 'upstream' | 'faultPoint'>;
  readonly replicaId: string;
  readonly x509: SlotControl;
  /** Absent where JWT-SVIDs are disabled. */
  readonly jwt?: SlotControl | undefined;
  /** What the bundle in the store demands of this server. */
  readonly apply: () => Promise<void>;
  readonly appliedEverywhere: () => Promise<void>;
  readonly patienceMs?: number | undefined;
}

export function createTierControl(options: TierControlOptions): TierControl {
  const { context, replicaId, apply, appliedEverywhere, patienceMs } = options;
  const { store, log, trustDomain, upstream, faultPoint } = context;
  const own = { x509: applying(options.x509, apply), jwt: applying(options.jwt ?? disabledControl, apply) };

  const handOver = createHandOver({
    store,
    log,
    replicaId,
    perform: ({ kind, act, authorityId }) => own[kind][act](authorityId),
    faultPoint,
    ...(patienceMs === undefined ? {} : { patienceMs }),
  });
  handOver.start();

  const revokeUnheldJwt = async (authorityId: string) => {
    const { expiresAt } = await store.revokeJwtAuthority(trustDomain.name, authorityId);
    return { authorityId, issuedAt: 0, expiresAt: expiresAt * 1000 };
  };
  const common = { handOver, replicas: store, replicaId, appliedEverywhere, faultPoint };
  const roots = {
    async taint(id: string) {
      await store.taintX509Authority(trustDomain.name, id);
      await appliedEverywhere();
    },
    async revoke(id: string) {
      await store.revokeX509Authority(trustDomain.name, id);
      await appliedEverywhere();
    },
  };
  return {
    x509: createSharedControl({ ...common, kind: 'x509', own: own.x509 }),
    jwt: createSharedControl({ ...common, kind: 'jwt', own: own.jwt, revokeUnheld: revokeUnheldJwt }),
    ...(upstream === undefined ? {} : { x509Upstream: roots }),
    close: handOver.close,
  };
}

/** An act has ended when this server holds to it. */
function applying(control: SlotControl, apply: () => Promise<void>): SlotControl {
  const then = async <T>(act: Promise<T>): Promise<T> => {
    const result = await act;
    await apply();
    return result;
  };
  return {
    states: control.states,
    prepare: () => then(control.prepare()),
    activate: (authorityId) => then(control.activate(authorityId)),
    taint: (authorityId) => then(control.taint(authorityId)),
    revoke: (authorityId) => then(control.revoke(authorityId)),
    withdraw: (authorityId) => then(control.withdraw(authorityId)),
  };
}

const refuse = async (): Promise<never> => {
  throw new AuthorityError('JWT_DISABLED', 'JWT-SVIDs are disabled');
};
const disabledControl: SlotControl = {
  states: () => ({}),
  prepare: refuse,
  activate: refuse,
  taint: refuse,
  revoke: refuse,
  withdraw: refuse,
};
