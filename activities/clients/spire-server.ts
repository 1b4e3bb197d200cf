// Talks to SPIRE servers as the control plane's worker: with the worker's own SVID, and only to servers that prove to be the trust domain's.
import { BundleService } from '../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import type { Bundle } from '../../proto/gen/spire/api/types/bundle.ts';
import { AgentService } from '../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { EntryService } from '../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { LocalAuthorityService } from '../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { SVIDService } from '../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { FleetService } from '../../proto/gen/espalier/fleet/v1/fleet.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../runtime/rpc/client.ts';
import type { Client } from '../../runtime/rpc/service.ts';
import { RpcError, statusName } from '../../runtime/rpc/status.ts';
import { serverId } from '../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { connectSpiffe } from '../../runtime/workloadapi/tls.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import type { FailureType } from '../failures.ts';
import { failure } from '../failures.ts';
import type { ServerAddress } from '../inputs.ts';
import { serverPort } from '../plan.ts';

export interface SpireServer {
  readonly agent: Client<typeof AgentService>;
  readonly bundle: Client<typeof BundleService>;
  readonly entry: Client<typeof EntryService>;
  readonly localAuthority: Client<typeof LocalAuthorityService>;
  readonly svid: Client<typeof SVIDService>;
  /** Ours; a plain SPIRE server answers UNIMPLEMENTED. */
  readonly fleet: Client<typeof FleetService>;
}

/** Runs one act over a connection of its own: acts are few, and a kept connection would outlive the identity it was made with. */
export async function withServer<T>(
  source: X509Source,
  { trustDomain, address }: ServerAddress,
  act: (server: SpireServer) => Promise<T>,
): Promise<T> {
  const expectedId = serverId(parseTrustDomain(trustDomain));
  const channel = connectSpiffe({ ...parseAddress(address), source, expectedId });
  return using(channel, address, () =>
    act({
      agent: createClient(AgentService, channel),
      bundle: createClient(BundleService, channel),
      entry: createClient(EntryService, channel),
      localAuthority: createClient(LocalAuthorityService, channel),
      svid: createClient(SVIDService, channel),
      fleet: createClient(FleetService, channel),
    }),
  );
}

/**
 * GetBundle from a server that cannot be verified yet: whoever answers, the answer counts only if its digests are those on the console.
 */
export function fetchUnverifiedBundle({ trustDomain, address }: ServerAddress): Promise<Bundle> {
  const unverified = serverId(parseTrustDomain(trustDomain));
  const channel = connect({ host: address, port: serverPort, verifyServer: () => unverified });
  return using(channel, address, () => createClient(BundleService, channel).getBundle({ outputMask: undefined }));
}

/** `host` or `host:port`; IPv6 in brackets where a port follows. */
export function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:]+)):([0-9]{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  return host === undefined ? { host: address, port: serverPort } : { host, port: Number(digits) };
}

async function using<T>(channel: RpcChannel, address: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    if (!(cause instanceof RpcError)) throw cause;
    const code = statusName(cause.code);
    throw failure(table[code] ?? 'Unavailable', `server ${address}: ${code}: ${cause.message}`);
  } finally {
    channel.close();
  }
}

/** What is not here is worth a retry. */
const table: Readonly<Record<string, FailureType>> = {
  INVALID_ARGUMENT: 'InvalidRequest',
  NOT_FOUND: 'NotReady',
  ALREADY_EXISTS: 'Conflict',
  UNIMPLEMENTED: 'Unsupported',
  RESOURCE_EXHAUSTED: 'QuotaExceeded',
};
