// spire.api.server.localauthority.v1.LocalAuthority: forced rotation of this server's own authorities, one step at a time. What may follow what is
// checked here, so that each wrong step has its own refusal; the steps themselves are the CA's.
import type {
  AuthorityState as WireState,
  LocalAuthorityService,
} from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import type { Handlers } from '../../rpc/service.ts';
import { failedPrecondition, internal, invalidArgument, unavailable, unimplemented } from '../../rpc/status.ts';
import type { AuthorityState, CertificateAuthority, SlotControl } from '../ca/authority.ts';
import { attempt } from './refusal.ts';

export interface LocalAuthorityServiceOptions {
  readonly authority: Pick<CertificateAuthority, 'x509' | 'jwt'>;
  readonly disableJwtSvids: boolean;
}

export function createLocalAuthorityService(
  options: LocalAuthorityServiceOptions,
): Handlers<typeof LocalAuthorityService> {
  const x509 = createSteps('X.509', () => options.authority.x509);
  const jwt = createSteps('JWT', () => {
    if (options.disableJwtSvids) throw unimplemented('JWT functionality is disabled');
    return options.authority.jwt;
  });

  return {
    getX509AuthorityState: async () => x509.states(),
    prepareX509Authority: async () => ({ preparedAuthority: await x509.prepare() }),
    activateX509Authority: async ({ authorityId }) => ({ activatedAuthority: await x509.activate(authorityId) }),
    taintX509Authority: async ({ authorityId }) => ({ taintedAuthority: await x509.taint(authorityId) }),
    revokeX509Authority: async ({ authorityId }) => ({ revokedAuthority: await x509.revoke(authorityId) }),
    getJwtAuthorityState: async () => jwt.states(),
    prepareJwtAuthority: async () => ({ preparedAuthority: await jwt.prepare() }),
    activateJwtAuthority: async ({ authorityId }) => ({ activatedAuthority: await jwt.activate(authorityId) }),
    taintJwtAuthority: async ({ authorityId }) => ({ taintedAuthority: await jwt.taint(authorityId) }),
    revokeJwtAuthority: async ({ authorityId }) => ({ revokedAuthority: await jwt.revoke(authorityId) }),
  };
}

/** The steps of one kind of authority; `slots` throws where the kind is switched off. */
function createSteps(kind: 'X.509' | 'JWT', slots: () => SlotControl) {
  return {
    states() {
      const { active, prepared, old } = slots().states();
      if (active === undefined) throw unavailable('server is initializing');
      return { active: encode(active), prepared: prepared && encode(prepared), old: old && encode(old) };
    },

    async prepare(): Promise<WireState> {
      return encode(await attempt(`failed to prepare ${kind} authority`, () => slots().prepare()));
    },

    async activate(id: string): Promise<WireState> {
      const { prepared, old } = slots().states();
      if (id === '') throw invalidArgument('no authority ID provided');
      if (id === old?.authorityId) {
        throw internal('only Prepared authorities can be activated: unsupported local authority status: OLD');
      }
      if (id !== prepared?.authorityId) throw invalidArgument('unexpected authority ID');
      return encode(await attempt(`failed to activate ${kind} authority`, () => slots().activate(id)));
    },

    async taint(id: string): Promise<WireState> {
      const { active, prepared, old } = slots().states();
      checkNoUpstream(active, 'tainted');
      if (id === '') throw invalidArgument('no authority ID provided');
      if (id === active?.authorityId) throw invalidArgument('unable to taint current local authority');
      if (id === prepared?.authorityId) {
        throw invalidArgument(
          'only Old local authorities can be tainted: unsupported local authority status: PREPARED',
        );
      }
      if (id !== old?.authorityId) throw invalidArgument('unexpected authority ID');
      return encode(await attempt(`failed to taint ${kind} authority`, () => slots().taint(id)));
    },

    async revoke(id: string): Promise<WireState> {
      const { active, prepared, old } = slots().states();
      checkNoUpstream(active, 'revoked');
      if (id === '') throw invalidArgument('invalid authority ID: no authority ID provided');
      if (id === prepared?.authorityId) throw invalidArgument('invalid authority ID: unable to use a prepared key');
      if (id === active?.authorityId) throw invalidArgument('invalid authority ID: unable to use current authority');
      if (id !== old?.authorityId) {
        throw invalidArgument(`invalid authority ID: no ${kind} authority found with provided authority ID`);
      }
      return encode(await attempt(`failed to revoke ${kind} authority`, () => slots().revoke(id)));
    },
  };
}

/** Under an upstream, our CA is not what others trust: tainting it would change nothing for them. */
function checkNoUpstream(active: AuthorityState | undefined, act: string): void {
  if (active?.upstreamAuthorityId === undefined) return;
  throw failedPrecondition(`local authority can't be ${act} if there is an upstream authority`);
}

function encode({ authorityId, expiresAt, upstreamAuthorityId }: AuthorityState): WireState {
  return {
    authorityId,
    expiresAt: Math.floor(expiresAt / 1000),
    upstreamAuthoritySubjectKeyId: upstreamAuthorityId ?? '',
  };
}
