// HTTP/2 on connections that others have accepted: what a peer may do on one, how long it lives, whether its peer is still there, and its end.
import { constants, performServerHandshake } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Connection } from './connection.ts';

export interface SessionsOptions {
  /** Bytes of header fields that one call may have, as HTTP/2 counts them. */
  readonly maxHeaderBytes: number;
  /** Connections older than this, give or take a tenth, are told to reconnect, and cut a minute later. */
  readonly maxAgeMs: number | undefined;
  readonly onStream: (
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    connection: Connection,
  ) => void;
}

export interface Sessions {
  readonly open: (socket: Socket, connection: Connection) => void;
  /** New calls are refused, running ones end. */
  close(): void;
  /** Running calls end here. */
  cut(): void;
}

const maxConcurrentStreams = { known: 1000, stranger: 100 } as const;
const ageGraceMs = 60_000;
/** A peer that vanished without a word is noticed after these. */
const keepAliveMs = 120_000;
const keepAliveTimeoutMs = 20_000;

export function createSessions({ maxHeaderBytes, maxAgeMs, onStream }: SessionsOptions): Sessions {
  const sessions = new Set<ServerHttp2Session>();

  return {
    open(socket, connection) {
      const session = performServerHandshake(socket, {
        // Ours are bounded by the size of messages and by the number of streams.
        maxSessionMemory: Number.MAX_SAFE_INTEGER,
        settings: { maxConcurrentStreams: streamsOf(connection), maxHeaderListSize: maxHeaderBytes },
      });
      sessions.add(session);
      // A session that fails closes its socket; there is nobody else to be told.
      session.on('error', () => undefined);
      session.on('stream', (stream, headers, _flags, rawHeaders) => {
        // A stream that fails closes, and its call learns of that.
        stream.on('error', () => undefined);
        onStream(stream, headers, rawHeaders, connection);
      });
      const timers = [setInterval(() => checkPeer(session), keepAliveMs).unref()];
      if (maxAgeMs !== undefined) {
        const age = maxAgeMs * (0.9 + 0.2 * Math.random());
        timers.push(setTimeout(() => retire(session), age).unref());
      }
      session.once('close', () => {
        sessions.delete(session);
        for (const timer of timers) clearInterval(timer);
      });
    },
    close() {
      for (const session of sessions) session.close();
    },
    cut() {
      for (const session of sessions) session.destroy(undefined, constants.NGHTTP2_CANCEL);
    },
  };
}

/** Whoever shows no certificate attests or asks for the bundle, and needs few streams for it. */
function streamsOf(connection: Connection): number {
  const isStranger = connection.transport === 'tcp' && connection.peerChain.length === 0;
  return isStranger ? maxConcurrentStreams.stranger : maxConcurrentStreams.known;
}

function checkPeer(session: ServerHttp2Session): void {
  if (!isOpen(session)) return;
  const timer = setTimeout(() => session.destroy(), keepAliveTimeoutMs).unref();
  if (!session.ping(() => clearTimeout(timer))) session.destroy();
}

/**
 * The peer hears which of its calls was the last one taken. Node has no way to say beforehand that the end is near: what is on its way meanwhile is
 * refused unseen, and may be sent again.
 */
function retire(session: ServerHttp2Session): void {
  if (!isOpen(session)) return;
  session.close();
  setTimeout(() => session.destroy(), ageGraceMs).unref();
}

function isOpen(session: ServerHttp2Session): boolean {
  return !session.destroyed && !session.closed;
}
