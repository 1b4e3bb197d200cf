// The calling side: a channel that reconnects by itself, and a client with one function for each method of a service.
import { Client as GrpcClient, connectivityState } from '@grpc/grpc-js';
import type { Socket } from 'node:net';
import type { RpcLog } from './call-context.ts';
import { createChannelCredentials } from './channel-credentials.ts';
import type { SecureConnection } from './channel-credentials.ts';
import { adaptMethod } from './method-adapter.ts';
import type { Client, ServiceDefinition } from './service.ts';
import { alpnProtocol } from './tls-credentials.ts';
import { dialTls } from './tls-dial.ts';
import type { TlsDialOptions } from './tls-dial.ts';

export type RpcTarget = { readonly unixPath: string } | TlsTarget;

export interface TlsTarget {
  readonly host: string;
  readonly port: number;
  /** Asked at each connection, so that a rotation needs no new channel. */
  readonly credentials?: TlsDialOptions['credentials'];
  /** Judges the server before any byte of HTTP/2 is sent. */
  readonly verifyServer: TlsDialOptions['verifyServer'];
}

export interface RpcChannel {
  /** Ends the calls that still run. */
  close(): void;
}

export interface ConnectOptions {
  readonly log?: RpcLog;
  /** Of one answer, before and after inflation. */
  readonly maxMessageBytes?: number;
  /** How long a server that is connected may say nothing before it is given up. */
  readonly silenceMs?: number;
}

/** A bundle or a full list of entries may be large; the server is one that we chose. */
const defaultMaxMessageBytes = 64 * 1024 * 1024;
/** What a server may send ahead of the reader: with HTTP/2's own 64 KiB a list of entries takes a round trip for every few hundred of them. */
const windowBytes = 1024 * 1024;
const defaultSilenceMs = 15_000;
const reconnectMs = { first: 100, longest: 5_000 };
/** grpc-go calls anything more frequent than 5 min an abuse unless it was told otherwise. */
const keepAliveMs = 300_000;

const clients = new WeakMap<RpcChannel, GrpcClient>();

/** Connects at the first call, and again whenever the connection is lost. */
export function connect(target: RpcTarget, options: ConnectOptions = {}): RpcChannel {
  const sockets = new Set<Socket>();
  const credentials = createChannelCredentials({
    secure(socket): Promise<SecureConnection> {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      return 'unixPath' in target
        ? Promise.resolve({ socket, secure: false })
        : dialTls(socket, { ...target, alpnProtocol }).then((verified) => ({ socket: verified.socket, secure: true }));
    },
    isConnecting: () => client.getChannel().getConnectivityState(false) === connectivityState.CONNECTING,
    silenceMs: options.silenceMs ?? defaultSilenceMs,
    log: options.log,
  });
  const client = new GrpcClient(addressOf(target), credentials, {
    'grpc.max_receive_message_length': options.maxMessageBytes ?? defaultMaxMessageBytes,
    'grpc.initial_reconnect_backoff_ms': reconnectMs.first,
    'grpc.max_reconnect_backoff_ms': reconnectMs.longest,
    'grpc.keepalive_time_ms': keepAliveMs,
    'grpc-node.flow_control_window': windowBytes,
    'grpc.use_local_subchannel_pool': 1, // nothing is shared with another channel to the same address
    'grpc.enable_http_proxy': 0, // the environment has no say in whom we talk to
    'grpc.service_config_disable_resolution': 1, // nor have TXT records
    // What the server has refused unseen is sent once more, as when it closes an old connection; of the rest callers know what may be repeated.
    'grpc.enable_retries': 1,
    'grpc.enable_channelz': 0,
  });
  const channel: RpcChannel = {
    close() {
      client.close();
      for (const socket of sockets) socket.destroy(); // left to itself, a closed channel of grpc-js waits for its calls, streams for ever
    },
  };
  clients.set(channel, client);
  return channel;
}

/** One function for each method; failures are RpcErrors. */
export function createClient<D extends ServiceDefinition>(definition: D, channel: RpcChannel): Client<D> {
  const client = clients.get(channel);
  if (client === undefined) throw new TypeError('channel was not made by connect');
  const methods = Object.entries(definition).map(([name, method]) => [name, adaptMethod(client, method)]);
  return Object.fromEntries(methods) as Client<D>;
}

function addressOf(target: RpcTarget): string {
  if ('unixPath' in target) return `unix:${target.unixPath}`;
  return target.host.includes(':') ? `dns:[${target.host}]:${target.port}` : `dns:${target.host}:${target.port}`;
}
