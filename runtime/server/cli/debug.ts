// `debug getinfo`: what the running server says of itself.
import { DebugService } from '../../../proto/gen/spire/api/server/debug/v1/debug.ts';
import type { GetInfoResponse } from '../../../proto/gen/spire/api/server/debug/v1/debug.ts';
import { createClient } from '../../rpc/client.ts';
import { formatDuration } from '../../spiffe/duration.ts';
import { serverCommand } from './server-command.ts';
import { formatId, formatRfc3339 } from './wire-id.ts';

export const debugGetInfo = serverCommand({
  name: 'debug getinfo',
  synopsis: 'Prints debug information about the server',
  flags: {},
  async run({ channel, terminal, print }) {
    const info = await createClient(DebugService, channel).getInfo({});
    print(info, () => terminal.out(formatInfo(info)));
  },
});

function formatInfo({ uptime, agentsCount, entriesCount, federatedBundlesCount, svidChain }: GetInfoResponse): string {
  const counts = [
    ['Uptime:', formatDuration(uptime * 1000)],
    ['Registered Agents:', agentsCount],
    ['Registration Entries:', entriesCount],
    ['Federated Bundles:', federatedBundlesCount],
  ].map(([name, value]) => `  ${String(name).padEnd(25)}${String(value)}\n`);
  const chain = svidChain.map(({ id, subject, expiresAt }, index) => {
    const spiffeId = id === undefined ? '(none)' : formatId(id);
    const indent = ' '.repeat(8);
    return `    [${index}] SPIFFE ID:  ${spiffeId}\n${indent}Subject:    ${subject}\n${indent}Expires At: ${formatRfc3339(expiresAt)}\n`;
  });
  return `Server Debug Info:\n${counts.join('')}${chain.length === 0 ? '' : '  SVID Chain:\n'}${chain.join('')}`;
}
