// `jwt mint`: a JWT-SVID, printed or written to a file that only its owner reads.
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { createClient } from '../../rpc/client.ts';
import { secondsOf } from './int32.ts';
import { warnIfCapped, writeOutput } from './minted.ts';
import { CommandError, serverCommand } from './server-command.ts';
import type { Terminal } from './terminal.ts';
import { parseId } from './wire-id.ts';

export const jwtMint = serverCommand({
  name: 'jwt mint',
  synopsis: 'Mints a JWT-SVID',
  flags: {
    spiffeID: { kind: 'string', default: '', help: 'SPIFFE ID of the JWT-SVID' },
    ttl: { kind: 'duration', default: 0, help: 'TTL of the JWT-SVID' },
    audience: { kind: 'list', help: 'Audience claim that will be included in the SVID. Can be used more than once.' },
    write: { kind: 'string', default: '', help: 'File to write token to instead of stdout' },
  },
  async run({ flags: { spiffeID, ttl, audience, write }, channel, terminal, print }) {
    if (spiffeID === '') throw new CommandError('spiffeID must be specified');
    if (audience.length === 0) throw new CommandError('at least one audience must be specified');
    const id = parseId(spiffeID);
    const request = { id, ttl: secondsOf(ttl), audience: [...audience] };
    const response = await createClient(SVIDService, channel)
      .mintJwtsvid(request)
      .catch((cause: unknown) => {
        throw new CommandError('unable to mint SVID', { cause });
      });
    const { svid } = response;
    if (svid === undefined || svid.token === '') throw new CommandError('server response missing token');
    warnOfLifetime(svid.token, ttl, terminal);
    if (write === '') {
      print(response, () => terminal.out(`${svid.token}\n`));
      return;
    }
    writeOutput('token', write, svid.token, 0o600);
    terminal.out(`JWT-SVID written to ${write}\n`);
  },
});

/** The token's own word counts, not the answer's. */
function warnOfLifetime(token: string, ttl: number, terminal: Terminal): void {
  try {
    warnIfCapped('JWT-SVID', expiryOf(token), ttl, terminal);
  } catch (error) {
    terminal.err(`Unable to determine JWT-SVID lifetime: ${error instanceof Error ? error.message : String(error)}\n`);
  }
}

function expiryOf(token: string): number {
  const [, payload = ''] = token.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { exp?: unknown };
  if (typeof claims.exp !== 'number') throw new Error('no expiry claim');
  return Math.trunc(claims.exp);
}
