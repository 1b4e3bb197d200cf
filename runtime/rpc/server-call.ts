// One call on one HTTP/2 stream, as the server has it in hands: reads the requests, writes the answers, and ends with exactly one status, unless
// the caller is gone before.
import { Metadata } from '@grpc/grpc-js';
import { constants } from 'node:http2';
import type { IncomingHttpHeaders, OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { CallContext } from './call-context.ts';
import { parseTimeout } from './call-deadline.ts';
import type { Connection } from './connection.ts';
import { MessageReader } from './message-reader.ts';
import { endWithMessage, writeMessage } from './message-writer.ts';
import { okTrailers, statusHeaders } from './status-headers.ts';
import { cancelled, deadlineExceeded, unimplemented } from './status.ts';
import type { RpcError } from './status.ts';

export interface ServerCallOptions {
  readonly connection: Connection;
  /** As our table has it. */
  readonly method: string;
  readonly maxMessageBytes: number;
}

const responseHeaders: OutgoingHttpHeaders = { ':status': 200, 'content-type': 'application/grpc' };
const withTrailers = { waitForTrailers: true, sendDate: false };
/** For the last words to be written and heard. */
const farewellMs = 1_000;
const endingStream = { endStream: true, sendDate: false };
/** Of the transport; the application sees the others. */
const transportHeaders = [
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'accept-encoding',
  'te',
  'content-type',
];

export class ServerCall implements CallContext {
  readonly connection: Connection;
  readonly method: string;
  readonly #stream: ServerHttp2Stream;
  readonly #headers: IncomingHttpHeaders;
  readonly #maxMessageBytes: number;
  #metadata: Metadata | undefined;
  #controller: AbortController | undefined;
  /** Why nothing more is to be done for this call. */
  #stopped: RpcError | undefined;
  #hasHeaders = false;
  #hasStatus = false;
  #trailers = okTrailers;
  #timer: NodeJS.Timeout | undefined;
  deadline: number | undefined;
  /** While requests are read: says how that ends. */
  #endReading: ((act: () => void) => void) | undefined;

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: ServerCallOptions) {
    this.connection = options.connection;
    this.method = options.method;
    this.#stream = stream;
    this.#headers = headers;
    this.#maxMessageBytes = options.maxMessageBytes;
    stream.on('close', () => this.#onClose());
  }

  /** Begins to count; throws where the deadline cannot be read. */
  startDeadline(): void {
    const timeout = this.#headers['grpc-timeout'];
    if (timeout === undefined) return;
    const ms = parseTimeout(String(timeout));
    this.deadline = performance.now() + ms;
    this.#timer = setTimeout(() => this.#onDeadline(), ms);
  }

  get metadata(): Metadata {
    if (this.#metadata !== undefined) return this.#metadata;
    this.#metadata = Metadata.fromHttp2Headers(this.#headers);
    for (const name of transportHeaders) this.#metadata.remove(name);
    return this.#metadata;
  }

  /** Made for the handlers that look at it, which are few: it costs as much as the rest of a small call. */
  get signal(): AbortSignal {
    if (this.#controller !== undefined) return this.#controller.signal;
    this.#controller = new AbortController();
    if (this.#stopped !== undefined) this.#controller.abort(this.#stopped);
    return this.#controller.signal;
  }

  /** The one request of a call that has one. */
  readOne(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      let only: Buffer | undefined;
      this.#read(
        (message) => {
          if (only !== undefined) throw unimplemented(`more than one request for ${this.method}`);
          only = message;
        },
        (error) => {
          if (error !== undefined) reject(error);
          else if (only === undefined) reject(unimplemented(`no request for ${this.method}`));
          else resolve(only);
        },
      );
    });
  }

  /** The requests of a stream, as they are asked for: what is not yet asked for stays with the caller. */
  async *readAll(): AsyncGenerator<Buffer, void, undefined> {
    const messages: Buffer[] = [];
    let end: { readonly error: Error | undefined } | undefined;
    let wake: (() => void) | undefined;
    this.#read(
      (message) => {
        messages.push(message);
        this.#stream.pause();
        wake?.();
      },
      (error) => {
        end = { error };
        wake?.();
      },
    );
    for (;;) {
      const message = messages.shift();
      if (message !== undefined) {
        yield message;
        continue;
      }
      if (end?.error !== undefined) throw end.error;
      if (end !== undefined) return;
      this.#stream.resume();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }

  #read(onMessage: (message: Buffer) => void, onEnd: (error?: Error) => void): void {
    const reader = new MessageReader(this.#maxMessageBytes);
    this.#endReading = (act) => {
      this.#endReading = undefined;
      try {
        act();
        onEnd();
      } catch (error) {
        onEnd(error as Error);
      }
    };
    this.#stream.on('data', (piece: Buffer) => {
      if (this.#endReading === undefined) return;
      try {
        for (const message of reader.take(piece)) onMessage(message);
      } catch (error) {
        this.#endReading(() => {
          throw error;
        });
      }
    });
    this.#stream.on('end', () => this.#endReading?.(() => reader.finish()));
  }

  /** Resolves when the answer has left. */
  write(answer: Uint8Array): Promise<void> {
    if (this.#isOver()) return Promise.resolve();
    this.#respond();
    return new Promise((resolve, reject) => {
      writeMessage(this.#stream, answer, (error) => {
        if (error === null || error === undefined) resolve();
        else reject(cancelled('the caller is gone', { cause: error }));
      });
    });
  }

  /** All is well; the last answer, where it is still to be sent, goes along. */
  succeed(answer?: Uint8Array): void {
    if (this.#isOver()) return;
    this.#hasStatus = true;
    this.#respond();
    if (answer === undefined) this.#stream.end();
    else endWithMessage(this.#stream, answer);
  }

  fail(error: RpcError): void {
    if (this.#isOver()) return;
    this.#hasStatus = true;
    const trailers = statusHeaders(error);
    if (this.#hasHeaders) {
      this.#trailers = trailers;
      this.#stream.end();
    } else this.#stream.respond({ ...responseHeaders, ...trailers }, endingStream);
    this.#stopReading();
  }

  /** What is no gRPC at all gets HTTP's own status. */
  refuse(httpStatus: number): void {
    if (this.#isOver()) return;
    this.#hasStatus = true;
    this.#stream.respond({ ':status': httpStatus }, endingStream);
    this.#stopReading();
  }

  /** Without a status: for what must never happen. */
  cut(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  #respond(): void {
    if (this.#hasHeaders) return;
    this.#hasHeaders = true;
    this.#stream.on('wantTrailers', () => {
      if (this.#stream.destroyed || this.#stream.closed) return;
      this.#stream.sendTrailers(this.#trailers);
      this.#stopReading();
    });
    this.#stream.respond(responseHeaders, withTrailers);
  }

  #isOver(): boolean {
    return this.#hasStatus || this.#stream.destroyed || this.#stream.closed;
  }

  /**
   * A caller that has its status has nothing more to say: what still comes is let go, or the stream would never close. It usually closes the stream
   * itself; who does not is told to. Not at once, as a reset overtakes what is not yet written.
   */
  #stopReading(): void {
    if (this.#stream.readableEnded) return;
    this.#stream.resume();
    setTimeout(() => this.#stream.close(constants.NGHTTP2_NO_ERROR), farewellMs).unref();
  }

  #onDeadline(): void {
    const error = deadlineExceeded('deadline exceeded');
    this.fail(error);
    this.#stop(error);
  }

  #onClose(): void {
    clearTimeout(this.#timer);
    if (this.#hasStatus && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR) return;
    this.#stop(cancelled('the caller cancelled the call'));
  }

  #stop(reason: RpcError): void {
    this.#stopped ??= reason;
    this.#controller?.abort(this.#stopped);
    this.#endReading?.(() => {
      throw reason;
    });
  }
}
