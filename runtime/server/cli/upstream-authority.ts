// `upstreamauthority taint|revoke`: an authority of the upstream that this trust domain is no longer to believe.
import { LocalAuthorityService } from '../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import type { RpcChannel } from '../../rpc/client.ts';
import { createClient } from '../../rpc/client.ts';
import { CommandError, serverCommand } from './server-command.ts';
import type { Command } from './terminal.ts';

interface Act {
  readonly verb: 'taint' | 'revoke';
  readonly past: string;
  readonly synopsis: string;
  readonly help: string;
  readonly call: (channel: RpcChannel, subjectKeyId: string) => Promise<{ upstreamAuthoritySubjectKeyId: string }>;
}

const skid = "The X.509 Subject Key Identifier (or SKID) of the authority's CA certificate of the";

const acts: readonly Act[] = [
  {
    verb: 'taint',
    past: 'Tainted',
    synopsis: 'Marks the provided X.509 upstream authority as being tainted',
    help: `${skid} upstream X.509 authority to taint`,
    call: (channel, subjectKeyId) =>
      createClient(LocalAuthorityService, channel).taintX509UpstreamAuthority({ subjectKeyId }),
  },
  {
    verb: 'revoke',
    past: 'Revoked',
    synopsis:
      'Revokes the previously active X.509 upstream authority by removing it from the bundle and propagating this update throughout the cluster',
    help: `${skid} X.509 upstream authority to revoke`,
    call: (channel, subjectKeyId) =>
      createClient(LocalAuthorityService, channel).revokeX509UpstreamAuthority({ subjectKeyId }),
  },
];

export const upstreamAuthorityCommands: readonly Command[] = acts.map(({ verb, past, synopsis, help, call }) =>
  serverCommand({
    name: `upstreamauthority ${verb}`,
    synopsis,
    flags: { subjectKeyID: { kind: 'string', default: '', help } },
    async run({ flags: { subjectKeyID }, channel, terminal, print }) {
      if (subjectKeyID === '') {
        throw new CommandError('the Subject Key ID of the X.509 upstream authority is required');
      }
      const response = await call(channel, subjectKeyID).catch((cause: unknown) => {
        throw new CommandError(`could not ${verb} X.509 upstream authority`, { cause });
      });
      print(response, () =>
        terminal.out(
          `${past} X.509 upstream authority:\n  Subject Key ID: ${response.upstreamAuthoritySubjectKeyId}\n`,
        ),
      );
    },
  }),
);
