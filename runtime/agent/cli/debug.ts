// `debug getinfo`: what the running agent says of itself.
import { DebugService } from '../../../proto/gen/spire/api/agent/debug/v1/debug.ts';
import type { GetInfoResponse, GetInfoResponse_Cert } from '../../../proto/gen/spire/api/agent/debug/v1/debug.ts';
import { parseFlags } from '../../cli/flags.ts';
import { createClient } from '../../rpc/client.ts';
import { formatDuration } from '../../spiffe/duration.ts';
import { adminFlags, withAdminClient } from './admin-client.ts';
import type { Command } from './terminal.ts';

export { adminFlags as debugFlags };

export const debugGetInfo: Command = (argv, { terminal }) => {
  const { values } = parseFlags(argv, adminFlags);
  return withAdminClient(values.socketPath, terminal, async (channel) => {
    const info = await createClient(DebugService, channel).getInfo({});
    terminal.print(values.output === 'json' ? JSON.stringify(jsonOf(info)) : textOf(info));
  });
};

function textOf(info: GetInfoResponse): string {
  const rows = [
    ['Uptime:', formatDuration(info.uptime * 1000)],
    ['Last Sync Success:', info.lastSyncSuccess === 0 ? '(never)' : rfc3339(info.lastSyncSuccess)],
    ['Cached X.509 SVIDs:', String(info.cachedX509SvidsCount)],
    ['Cached JWT SVIDs:', String(info.cachedJwtSvidsCount)],
    ['Cached SVID Store X.509 SVIDs:', String(info.cachedSvidstoreX509SvidsCount)],
  ].map(([name = '', value = '']) => `  ${name.padEnd(33)}${value}`);
  const chain = info.svidChain.flatMap(({ id, subject, expiresAt }, i) => [
    `    [${i}] SPIFFE ID:  ${id === undefined ? '(none)' : `spiffe://${id.trustDomain}${id.path}`}`,
    `        Subject:    ${subject}`,
    `        Expires At: ${rfc3339(expiresAt)}`,
  ]);
  return ['Agent Debug Info:', ...rows, ...(chain.length === 0 ? [] : ['  SVID Chain:', ...chain])].join('\n');
}

function rfc3339(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().replace('.000Z', 'Z');
}

/** Protobuf's JSON with the names of the .proto file, sorted: 64-bit numbers are strings. */
function jsonOf(info: GetInfoResponse): unknown {
  return {
    cached_jwt_svids_count: info.cachedJwtSvidsCount,
    cached_svidstore_x509_svids_count: info.cachedSvidstoreX509SvidsCount,
    cached_x509_svids_count: info.cachedX509SvidsCount,
    last_sync_success: String(info.lastSyncSuccess),
    svid_chain: info.svidChain.map(certificateJson),
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- still in the message
    svids_count: info.svidsCount,
    uptime: info.uptime,
  };
}

function certificateJson({ expiresAt, id, subject }: GetInfoResponse_Cert): unknown {
  const named = id === undefined ? {} : { id: { path: id.path, trust_domain: id.trustDomain } };
  return { expires_at: String(expiresAt), ...named, subject };
}
