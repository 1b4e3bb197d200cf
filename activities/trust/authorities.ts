// The steps of a forced rotation on one server, each safe to repeat: what has been done already is found in the server's own state, never guessed.
import type { AuthorityState } from '../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { RpcError, statusCode } from '../../runtime/rpc/status.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { withServer } from '../clients/spire-server.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { failure } from '../failures.ts';
import type { AuthorityKind, AuthorityView, OnServer, ServerAuthorities } from './rotation.ts';

type States = Pick<ServerAuthorities, 'active' | 'prepared' | 'old'>;

export async function readStates(server: SpireServer, kind: AuthorityKind): Promise<States> {
  const { localAuthority } = server;
  const { active, prepared, old } = await (kind === 'x509'
    ? localAuthority.getX509AuthorityState({})
    : localAuthority.getJwtAuthorityState({}));
  if (active === undefined) throw failure('NotReady', `the server has no active ${kind} authority yet`);
  return {
    active: viewOf(active),
    ...(prepared === undefined ? {} : { prepared: viewOf(prepared) }),
    ...(old === undefined ? {} : { old: viewOf(old) }),
  };
}

/** The same of a server by its address, with where it stands. */
export async function readAuthorities(
  source: X509Source,
  { trustDomain, tier, server, kind }: OnServer,
): Promise<ServerAuthorities> {
  const { address } = server;
  const states = await withServer(source, { trustDomain, address }, (asked) => readStates(asked, kind));
  return { tier, server, ...states };
}

/** One that this rotation prepared before its answer was lost is not among those known before, and is kept. */
export async function ensurePrepared(
  server: SpireServer,
  { kind, notAmong }: Pick<OnServer, 'kind'> & { readonly notAmong: readonly string[] },
): Promise<AuthorityView> {
  const { active, prepared } = await readStates(server, kind);
  for (const found of [prepared, active]) {
    if (found !== undefined && !notAmong.includes(found.authorityId)) return found;
  }
  return prepare(server, kind);
}

async function prepare({ localAuthority }: SpireServer, kind: AuthorityKind): Promise<AuthorityView> {
  const { preparedAuthority } = await (kind === 'x509'
    ? localAuthority.prepareX509Authority({})
    : localAuthority.prepareJwtAuthority({}));
  if (preparedAuthority === undefined) throw failure('Unavailable', `the server prepared no ${kind} authority`);
  return viewOf(preparedAuthority);
}

/** Returns what was done, in words for the report. */
export async function withdrawPrepared(
  server: SpireServer,
  { kind, notAmong }: Pick<OnServer, 'kind'> & { readonly notAmong: readonly string[] },
): Promise<string> {
  const { prepared } = await readStates(server, kind);
  if (prepared === undefined || notAmong.includes(prepared.authorityId)) return 'nothing was prepared';
  const { authorityId } = prepared;
  try {
    await server.fleet.withdrawAuthority({ authorityId, jwt: kind === 'jwt' });
    return `authority ${authorityId} was withdrawn`;
  } catch (cause) {
    if (!(cause instanceof RpcError) || cause.code !== statusCode.UNIMPLEMENTED) throw cause;
    return `authority ${authorityId} stays prepared: a SPIRE server cannot withdraw it, and has it end at ${prepared.expiresAt}`;
  }
}

export async function ensureActivated(server: SpireServer, kind: AuthorityKind, authorityId: string): Promise<void> {
  const { active } = await readStates(server, kind);
  if (active.authorityId === authorityId) return;
  await (kind === 'x509'
    ? server.localAuthority.activateX509Authority({ authorityId })
    : server.localAuthority.activateJwtAuthority({ authorityId }));
}

/**
 * A server under an upstream gets a new intermediate CA, under none of these roots. What it has prepared serves where that came after the rotation began,
 * or hangs on another root.
 */
export async function ensureReissued(
  server: SpireServer,
  { before, notUnder }: { readonly before: readonly string[]; readonly notUnder: readonly string[] },
): Promise<AuthorityView> {
  const { active, prepared } = await readStates(server, 'x509');
  const isUnder = ({ upstreamAuthorityId = '' }: AuthorityView): boolean => notUnder.includes(upstreamAuthorityId);
  const isNew = ({ authorityId }: AuthorityView): boolean => !before.includes(authorityId);
  if (isNew(active) && !isUnder(active)) return active;
  const isFit = (view: AuthorityView): boolean => !isUnder(view) && (isNew(view) || notUnder.length > 0);
  const fresh = prepared !== undefined && isFit(prepared) ? prepared : await prepare(server, 'x509');
  if (isUnder(fresh)) throw failure('NotReady', `the upstream still signs under ${String(fresh.upstreamAuthorityId)}`);
  await ensureActivated(server, 'x509', fresh.authorityId);
  return fresh;
}

interface Narrowing {
  readonly kind: AuthorityKind;
  readonly authorityId: string;
  /** The authority is the upstream's, and all servers of the tier stand under it. */
  readonly upstream: boolean;
}

export async function ensureTainted(server: SpireServer, { kind, authorityId, upstream }: Narrowing): Promise<void> {
  const standing = await standingOf(server, authorityId);
  if (standing !== 'trusted') return;
  const { localAuthority } = server;
  await repeatable(server, authorityId, 'trusted', () => {
    if (upstream) return localAuthority.taintX509UpstreamAuthority({ subjectKeyId: authorityId });
    return kind === 'x509'
      ? localAuthority.taintX509Authority({ authorityId })
      : localAuthority.taintJwtAuthority({ authorityId });
  });
}

export async function ensureRevoked(server: SpireServer, { kind, authorityId, upstream }: Narrowing): Promise<void> {
  const standing = await standingOf(server, authorityId);
  if (standing === 'gone') return;
  if (standing === 'trusted') throw failure('TrustViolation', `authority ${authorityId} is not tainted`);
  const { localAuthority } = server;
  await repeatable(server, authorityId, 'tainted', () => {
    if (upstream) return localAuthority.revokeX509UpstreamAuthority({ subjectKeyId: authorityId });
    return kind === 'x509'
      ? localAuthority.revokeX509Authority({ authorityId })
      : localAuthority.revokeJwtAuthority({ authorityId });
  });
}

type Standing = 'trusted' | 'tainted' | 'gone';

/** By the tier's own bundle, as the store has it. */
async function standingOf(server: SpireServer, authorityId: string): Promise<Standing> {
  const { authorities } = await server.fleet.countHoldings({ authorityId: '' });
  const known = authorities.find((one) => one.authorityId === authorityId);
  if (known?.published !== true) return 'gone';
  return known.tainted ? 'tainted' : 'trusted';
}

/** The act may have been done though its call failed: the state afterwards decides. */
async function repeatable(
  server: SpireServer,
  authorityId: string,
  before: Standing,
  act: () => Promise<unknown>,
): Promise<void> {
  try {
    await act();
  } catch (cause) {
    if ((await standingOf(server, authorityId)) === before) throw cause;
  }
}

function viewOf({ authorityId, expiresAt, upstreamAuthoritySubjectKeyId }: AuthorityState): AuthorityView {
  return {
    authorityId,
    expiresAt: new Date(expiresAt * 1000).toISOString(),
    ...(upstreamAuthoritySubjectKeyId === '' ? {} : { upstreamAuthorityId: upstreamAuthoritySubjectKeyId }),
  };
}
