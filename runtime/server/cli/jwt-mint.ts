// `jwt mint`: a JWT-SVID, printed or written to a file that only its owner reads.
import { chmodSync, writeFileSync } from 'node:fs';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { createClient } from '../../rpc/client.ts';
import { CommandError, serverCommand } from './server-command.ts';
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
    const request = { id: parseId(spiffeID), ttl: Math.ceil(ttl / 1000), audience: [...audience] };
    const response = await createClient(SVIDService, channel)
      .mintJwtsvid(request)
      .catch((cause: unknown) => {
        throw new CommandError('unable to mint SVID', { cause });
      });
    const { svid } = response;
    if (svid === undefined || svid.token === '') throw new CommandError('server response missing token');
    if (svid.expiresAt * 1000 - Date.now() < ttl - 1000) {
      const end = new Date(svid.expiresAt * 1000).toISOString().replace('.000Z', 'Z');
      terminal.err(`JWT-SVID lifetime was capped shorter than specified ttl; expires "${end}"\n`);
    }
    if (write === '') {
      print(response, () => terminal.out(`${svid.token}\n`));
      return;
    }
    writeFileSync(write, svid.token, { mode: 0o600 });
    chmodSync(write, 0o600);
    terminal.out(`JWT-SVID written to ${write}\n`);
  },
});
