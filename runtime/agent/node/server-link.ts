// The agent's way to its server: one channel with the agent's current SVID, replaced when that changes, and clients for what the agent calls.
import { AgentService } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { FleetService } from '../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { ServiceIdentitiesService } from '../../../proto/gen/espalier/service/v1/service.ts';
import { EntryService } from '../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import type { RpcLog } from '../../rpc/call-context.ts';
import { connect, createClient } from '../../rpc/client.ts';
import type { RpcChannel } from '../../rpc/client.ts';
import type { Client } from '../../rpc/service.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';

export interface ServerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ServerClients {
  readonly agent: Client<typeof AgentService>;
  readonly bundle: Client<typeof BundleService>;
  readonly entry: Client<typeof EntryService>;
  /** Ours: a plain SPIRE server answers UNIMPLEMENTED. */
  readonly fleet: Client<typeof FleetService>;
  /** Ours, too. */
  readonly service: Client<typeof ServiceIdentitiesService>;
  readonly svid: Client<typeof SVIDService>;
}

export interface ServerLink {
  clients(): ServerClients;
  /** The next call goes over a new connection, with the SVID of then. Calls under way may end on the old one. */
  renew(): void;
  /** Called when the link is renewed: a stream that stays on the old connection would end with it. Returns the way to stop. */
  onRenew(listener: () => void): () => void;
  close(): void;
}

export interface ServerLinkOptions extends ServerAddress {
  readonly log: RpcLog;
  /** Undefined: without a client certificate, which is enough to attest. */
  readonly credentials: () => TlsCredentials | undefined;
  readonly verifyServer: (chain: Uint8Array[]) => SpiffeId;
}

/** Longer than any call of ours. */
const drainMs = 35_000;

export function openServerLink({ host, port, log, credentials, verifyServer }: ServerLinkOptions): ServerLink {
  let channel: RpcChannel | undefined;
  let clients: ServerClients | undefined;
  const listeners = new Set<() => void>();
  const draining = new Map<RpcChannel, NodeJS.Timeout>();

  return {
    clients() {
      channel ??= connect({ host, port, credentials, verifyServer }, { log });
      clients ??= clientsOf(channel);
      return clients;
    },
    renew() {
      if (channel === undefined) return;
      const old = channel;
      const timer = setTimeout(() => {
        draining.delete(old);
        old.close();
      }, drainMs);
      timer.unref();
      draining.set(old, timer);
      channel = undefined;
      clients = undefined;
      for (const listener of listeners) listener();
    },
    onRenew(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      for (const [old, timer] of draining) {
        clearTimeout(timer);
        old.close();
      }
      draining.clear();
      channel?.close();
      channel = undefined;
      clients = undefined;
    },
  };
}

function clientsOf(channel: RpcChannel): ServerClients {
  return {
    agent: createClient(AgentService, channel),
    bundle: createClient(BundleService, channel),
    entry: createClient(EntryService, channel),
    fleet: createClient(FleetService, channel),
    service: createClient(ServiceIdentitiesService, channel),
    svid: createClient(SVIDService, channel),
  };
}
