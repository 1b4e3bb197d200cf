// `localauthority x509|jwt show|prepare|activate|taint|revoke`: forced rotation by hand. Both kinds have the same five commands.
import { LocalAuthorityService } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import type { AuthorityState } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import type { RpcChannel } from '../../rpc/client.ts';
import { createClient } from '../../rpc/client.ts';
import type { Client } from '../../rpc/service.ts';
import { CommandError, serverCommand } from './server-command.ts';
import type { Command } from './terminal.ts';
import { formatTime } from './wire-id.ts';

type LocalAuthority = Client<typeof LocalAuthorityService>;
type Kind = 'x509' | 'jwt';
type Act = 'prepare' | 'activate' | 'taint' | 'revoke';

const kindNames = { x509: 'X.509', jwt: 'JWT' } as const;
const pastNames = { prepare: 'Prepared', activate: 'Activated', taint: 'Tainted', revoke: 'Revoked' } as const;

const published = { x509: 'the resulting CA certificate', jwt: 'it' } as const;
const everywhere = 'and propagating this update throughout the cluster';

const synopses: Record<'show' | Act, (kind: Kind) => string> = {
  show: (kind) => `Shows the local ${kindNames[kind]} authorities`,
  prepare: (kind) =>
    `Prepares a new ${kindNames[kind]} authority for use by generating a new key and injecting ${published[kind]} into the bundle`,
  activate: (kind) =>
    `Activates a prepared ${kindNames[kind]} authority for use, which will cause it to be used for all ${kindNames[kind]} signing operations serviced by this server going forward`,
  taint: (kind) => `Marks the previously active ${kindNames[kind]} authority as being tainted`,
  revoke: (kind) =>
    `Revokes the previously active ${kindNames[kind]} authority by removing it from the bundle ${everywhere}`,
};

/** What each act calls, and where its answer has the authority. */
const acts: Record<Kind, Record<Act, (client: LocalAuthority, authorityId: string) => Promise<Answer>>> = {
  x509: {
    prepare: async (client) => answer(await client.prepareX509Authority({}), 'preparedAuthority'),
    activate: async (client, authorityId) =>
      answer(await client.activateX509Authority({ authorityId }), 'activatedAuthority'),
    taint: async (client, authorityId) => answer(await client.taintX509Authority({ authorityId }), 'taintedAuthority'),
    revoke: async (client, authorityId) =>
      answer(await client.revokeX509Authority({ authorityId }), 'revokedAuthority'),
  },
  jwt: {
    prepare: async (client) => answer(await client.prepareJwtAuthority({}), 'preparedAuthority'),
    activate: async (client, authorityId) =>
      answer(await client.activateJwtAuthority({ authorityId }), 'activatedAuthority'),
    taint: async (client, authorityId) => answer(await client.taintJwtAuthority({ authorityId }), 'taintedAuthority'),
    revoke: async (client, authorityId) => answer(await client.revokeJwtAuthority({ authorityId }), 'revokedAuthority'),
  },
};

interface Answer {
  readonly response: object;
  readonly state: AuthorityState | undefined;
}

function answer<K extends string>(response: Readonly<Record<K, AuthorityState | undefined>>, key: K): Answer {
  return { response, state: response[key] };
}

export const localAuthorityCommands: readonly Command[] = (['x509', 'jwt'] as const).flatMap((kind) => [
  showCommand(kind),
  ...(['prepare', 'activate', 'taint', 'revoke'] as const).map((act) => actCommand(kind, act)),
]);

function showCommand(kind: Kind): Command {
  return serverCommand({
    name: `localauthority ${kind} show`,
    synopsis: synopses.show(kind),
    flags: {},
    async run({ channel, terminal, print }) {
      const fetch = () => fetchStates(kind, channel);
      // SPIRE explains one kind only.
      const states = await (kind === 'x509' ? explain('could not get X.509 authorities', fetch) : fetch());
      print(states, () => {
        const sections = (['active', 'prepared', 'old'] as const).map((slot) => {
          const title = `${slot.charAt(0).toUpperCase()}${slot.slice(1)} ${kindNames[kind]} authority:\n`;
          const state = states[slot];
          return (
            title +
            (state === undefined ? `  No ${slot} ${kindNames[kind]} authority found\n` : formatState(kind, state))
          );
        });
        terminal.out(sections.join('\n'));
      });
    },
  });
}

function fetchStates(kind: Kind, channel: RpcChannel) {
  const client = createClient(LocalAuthorityService, channel);
  return kind === 'x509' ? client.getX509AuthorityState({}) : client.getJwtAuthorityState({});
}

function actCommand(kind: Kind, act: Act): Command {
  const help = `The authority ID of the ${kindNames[kind]} authority to ${act}`;
  return serverCommand({
    name: `localauthority ${kind} ${act}`,
    synopsis: synopses[act](kind),
    flags: act === 'prepare' ? {} : { authorityID: { kind: 'string', default: '', help } },
    async run({ flags, channel, terminal, print }) {
      const { authorityID = '' } = flags as { authorityID?: string };
      if (act !== 'prepare' && authorityID === '') throw new CommandError('an authority ID is required');
      const client = createClient(LocalAuthorityService, channel);
      const { response, state } = await explain(`could not ${act} ${kindNames[kind]} authority`, () =>
        acts[kind][act](client, authorityID),
      );
      print(response, () => {
        terminal.out(`${pastNames[act]} ${kindNames[kind]} authority:\n`);
        if (state === undefined) throw missing(kind, act);
        terminal.out(formatState(kind, state));
      });
    },
  });
}

function missing(kind: Kind, act: Act): CommandError {
  const what = `${pastNames[act].toLowerCase()} ${kindNames[kind]} authority`;
  return new CommandError(`internal error: expected to have ${what} information`);
}

function formatState(
  kind: Kind,
  { authorityId, expiresAt, upstreamAuthoritySubjectKeyId: upstream }: AuthorityState,
): string {
  const lines = `  Authority ID: ${authorityId}\n  Expires at: ${formatTime(expiresAt)}\n`;
  if (kind === 'jwt') return lines;
  return (
    lines +
    (upstream === ''
      ? '  Upstream authority ID: No upstream authority\n'
      : `  Upstream authority Subject Key ID: ${upstream}\n`)
  );
}

async function explain<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw new CommandError(what, { cause });
  }
}
