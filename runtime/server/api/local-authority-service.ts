// spire.api.server.localauthority.v1.LocalAuthority: forced rotation, one step at a time. What may follow what is checked here, so that each wrong step
// has its own refusal, in SPIRE's words; the steps themselves are the CA's, which finds the server that holds the authority.
import type {
  AuthorityState as WireState,
  LocalAuthorityService,
} from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import type { Logger } from '../../log.ts';
import type { Handlers } from '../../rpc/service.ts';
import { failedPrecondition, internal, invalidArgument, unavailable, unimplemented } from '../../rpc/status.ts';
import type { AuthorityState, CertificateAuthority } from '../ca/authority.ts';
import type { SharedControl } from '../ca/shared-control.ts';
import { attempt } from './refusal.ts';
import { createUpstreamSteps } from './upstream-authority-steps.ts';

export interface LocalAuthorityServiceOptions {
  readonly authority: Pick<CertificateAuthority, 'x509' | 'jwt' | 'x509Upstream' | 'bundle'>;
  readonly disableJwtSvids: boolean;
  readonly log: Logger;
}

export function createLocalAuthorityService(
  options: LocalAuthorityServiceOptions,
): Handlers<typeof LocalAuthorityService> {
  const { authority, log } = options;
  const x509 = createSteps('X.509', () => authority.x509, log);
  const jwt = createSteps(
    'JWT',
    () => {
      if (options.disableJwtSvids) throw unimplemented('JWT functionality is disabled');
      return authority.jwt;
    },
    log,
  );
  const upstream = createUpstreamSteps({ authority, log });
  const isPublishedKey = (id: string): boolean => authority.bundle().jwtAuthorities.some(({ keyId }) => keyId === id);
  const refuseWithUpstream = (act: string): void => {
    if (authority.x509Upstream === undefined) return;
    // Under an upstream, our CA is not what others trust: tainting it would change nothing for them.
    throw failedPrecondition(`local authority can't be ${act} if there is an upstream authority`);
  };

  const noWit = async (): Promise<never> => {
    throw unimplemented('WIT-SVID functionality is not yet implemented');
  };

  return {
    getX509AuthorityState: async () => x509.states(),
    prepareX509Authority: async () => ({ preparedAuthority: encode(await x509.prepare()) }),
    activateX509Authority: async ({ authorityId: id }) => ({ activatedAuthority: encode(await x509.activate(id)) }),
    async taintX509Authority({ authorityId }) {
      refuseWithUpstream('tainted');
      return { taintedAuthority: encode(await x509.taint(authorityId)) };
    },
    async revokeX509Authority({ authorityId }) {
      refuseWithUpstream('revoked');
      await x509.revoke(authorityId, ({ old }) => {
        if (authorityId !== old?.authorityId) return 'only Old local authority can be revoked';
        return undefined;
      });
      return { revokedAuthority: named(authorityId) };
    },
    taintX509UpstreamAuthority: ({ subjectKeyId }) => upstream.taint(subjectKeyId),
    revokeX509UpstreamAuthority: ({ subjectKeyId }) => upstream.revoke(subjectKeyId),
    getJwtAuthorityState: async () => jwt.states(),
    prepareJwtAuthority: async () => ({ preparedAuthority: encode(await jwt.prepare()) }),
    activateJwtAuthority: async ({ authorityId: id }) => ({ activatedAuthority: encode(await jwt.activate(id)) }),
    async taintJwtAuthority({ authorityId }) {
      await jwt.taint(authorityId);
      return { taintedAuthority: named(authorityId) };
    },
    async revokeJwtAuthority({ authorityId }) {
      await jwt.revoke(authorityId, ({ prepared, old }) => {
        if (authorityId === prepared?.authorityId) return 'unable to use a prepared key';
        if (authorityId === old?.authorityId || isPublishedKey(authorityId)) return undefined;
        return 'no JWT authority found with provided authority ID';
      });
      return { revokedAuthority: named(authorityId) };
    },
    getWitAuthorityState: noWit,
    prepareWitAuthority: noWit,
    activateWitAuthority: noWit,
    taintWitAuthority: noWit,
    revokeWitAuthority: noWit,
  };
}

type States = ReturnType<SharedControl['states']>;

/** The steps of one kind of authority; `slots` throws where the kind is switched off. */
function createSteps(kind: 'X.509' | 'JWT', slots: () => SharedControl, log: Logger) {
  const checkInitialized = (): States & { readonly active: AuthorityState } => {
    const { active, ...others } = slots().states();
    if (active === undefined) throw unavailable('server is initializing');
    return { active, ...others };
  };
  return {
    states() {
      const { active, prepared, old } = checkInitialized();
      return { active: encode(active), prepared: prepared && encode(prepared), old: old && encode(old) };
    },

    prepare(): Promise<AuthorityState> {
      checkInitialized();
      return attempt(`failed to prepare ${kind} authority`, () => slots().prepare());
    },

    async activate(id: string): Promise<AuthorityState> {
      const control = slots();
      if (id === '') throw invalidArgument('no authority ID provided');
      const failed = `failed to activate ${kind} authority`;
      const { prepared, old } = await attempt(failed, () => control.statesWith(id));
      if (id === old?.authorityId) {
        throw internal('only Prepared authorities can be activated: unsupported local authority status: OLD');
      }
      if (id !== prepared?.authorityId) throw invalidArgument('unexpected authority ID');
      return attempt(failed, () => control.activate(id));
    },

    async taint(id: string): Promise<AuthorityState> {
      const control = slots();
      if (id === '') throw invalidArgument('no authority ID provided');
      const failed = `failed to taint ${kind} authority`;
      const { active, prepared, old } = await attempt(failed, () => control.statesWith(id));
      if (id === active?.authorityId) throw invalidArgument('unable to taint current local authority');
      if (id === prepared?.authorityId) {
        throw invalidArgument(
          'only Old local authorities can be tainted: unsupported local authority status: PREPARED',
        );
      }
      if (id !== old?.authorityId) throw invalidArgument('unexpected authority ID');
      const tainted = await attempt(failed, () => control.taint(id));
      log.info({ local_authority_id: id }, `${kind} authority tainted successfully`);
      return tainted;
    },

    /** `fault` says what else is wrong with the ID. */
    async revoke(id: string, fault: (states: States) => string | undefined): Promise<void> {
      const control = slots();
      const refuse = (why: string) => invalidArgument(`invalid authority ID: ${why}`);
      if (id === '') throw refuse('no authority ID provided');
      const failed = `failed to revoke ${kind} authority`;
      const states = await attempt(failed, () => control.statesWith(id));
      if (id === states.active?.authorityId) throw refuse('unable to use current authority');
      const why = fault(states);
      if (why !== undefined) throw refuse(why);
      await attempt(failed, () => control.revoke(id));
      log.info({ local_authority_id: id }, `${kind} authority revoked successfully`);
    },
  };
}

function encode({ authorityId, expiresAt, upstreamAuthorityId }: AuthorityState): WireState {
  return {
    authorityId,
    expiresAt: Math.floor(expiresAt / 1000),
    upstreamAuthoritySubjectKeyId: upstreamAuthorityId ?? '',
  };
}

/** Of what was revoked, and of tainted JWT keys, SPIRE tells the ID alone. */
function named(authorityId: string): WireState {
  return { authorityId, expiresAt: 0, upstreamAuthoritySubjectKeyId: '' };
}
