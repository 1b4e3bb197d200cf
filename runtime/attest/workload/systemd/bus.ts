// A client of the system bus over its Unix socket: it authenticates by the kernel's word for its user (EXTERNAL), calls, and reads replies.
// One connection serves all calls; it is made at the first one, and anew at the next one after it broke. No signals, no objects of our own.
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { encodeCall, parseMessage } from './message.ts';
import type { Message, MethodCall } from './message.ts';
import type { Argument } from './marshal.ts';
import { WorkloadAttestError } from '../attestor.ts';

export interface Bus {
  /** Throws a WorkloadAttestError: BUS where there is no answer, BUS_REFUSAL where the answer is an error. */
  call(call: MethodCall, signal: AbortSignal): Promise<Argument[]>;
}

const maxAuthLine = 1024;
const shownErrorText = 200;

const hello: MethodCall = {
  destination: 'org.freedesktop.DBus',
  path: '/org/freedesktop/DBus',
  interface: 'org.freedesktop.DBus',
  member: 'Hello',
  arguments: [],
};

export function createBus(socketPath: string, uid: number): Bus {
  let connection: BusConnection | undefined;
  return {
    async call(call, signal) {
      if (connection === undefined || connection.isClosed) connection = new BusConnection(socketPath, uid);
      return connection.call(call, signal);
    },
  };
}

interface Waiting {
  readonly resolve: (message: Message) => void;
  readonly reject: (error: Error) => void;
}

class BusConnection {
  readonly #socket: Socket;
  readonly #path: string;
  readonly #waiting = new Map<number, Waiting>();
  readonly #queued: Buffer[] = [];
  #received = Buffer.alloc(0);
  #isAuthenticated = false;
  #lastSerial = 0;
  isClosed = false;

  constructor(path: string, uid: number) {
    this.#path = path;
    this.#socket = createConnection(path);
    this.#socket.unref(); // an idle connection does not keep the agent alive
    this.#socket.on('error', (cause) => this.#close('is not there', cause));
    this.#socket.on('close', () => this.#close('closed the connection'));
    this.#socket.on('data', (bytes) => this.#receive(bytes));
    this.#socket.write(`\0AUTH EXTERNAL ${Buffer.from(`${uid}`).toString('hex')}\r\n`);
    this.#ask(hello).catch(() => this.#close('does not welcome us'));
  }

  async call(call: MethodCall, signal: AbortSignal): Promise<Argument[]> {
    // What does not answer one call will not answer the next: it ends with the connection.
    const onAbort = () => this.#close('did not answer in time', signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      signal.throwIfAborted();
      const reply = await this.#ask(call);
      if (reply.kind === 'error') throw refusal(call, reply);
      return this.#argumentsOf(reply);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  #ask(call: MethodCall): Promise<Message> {
    const serial = (this.#lastSerial += 1);
    const bytes = encodeCall(call, serial);
    return new Promise((resolve, reject) => {
      this.#waiting.set(serial, { resolve, reject });
      if (this.#isAuthenticated) this.#socket.write(bytes);
      else this.#queued.push(bytes);
    });
  }

  #receive(bytes: Buffer): void {
    try {
      this.#received = Buffer.concat([this.#received, bytes]);
      if (!this.#isAuthenticated && !this.#authenticate()) return;
      for (;;) {
        const next = parseMessage(this.#received);
        if (next === undefined) return;
        this.#received = this.#received.subarray(next.length);
        this.#deliver(next.message);
      }
    } catch (cause) {
      this.#close('sent what is no message', cause);
    }
  }

  /** Whether messages may come now. */
  #authenticate(): boolean {
    const end = this.#received.indexOf('\r\n');
    if (end > maxAuthLine || (end < 0 && this.#received.length > maxAuthLine)) throw new Error('line is too long');
    if (end < 0) return false;
    const [word] = this.#received.toString('latin1', 0, end).split(' ');
    if (word !== 'OK') throw new Error('our user is not let in');
    this.#received = this.#received.subarray(end + 2);
    this.#isAuthenticated = true;
    this.#socket.write(Buffer.concat([Buffer.from('BEGIN\r\n'), ...this.#queued.splice(0)]));
    return true;
  }

  #deliver(message: Message): void {
    if (message.kind === 'other' || message.replySerial === undefined) return;
    this.#waiting.get(message.replySerial)?.resolve(message);
    this.#waiting.delete(message.replySerial);
  }

  #argumentsOf(reply: Message): Argument[] {
    try {
      return reply.arguments();
    } catch (cause) {
      throw this.#error('sent an answer that is not readable', cause);
    }
  }

  #close(what: string, cause?: unknown): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.#socket.destroy();
    for (const { reject } of this.#waiting.values()) reject(this.#error(what, cause));
    this.#waiting.clear();
  }

  #error(what: string, cause: unknown): WorkloadAttestError {
    return new WorkloadAttestError('BUS', `bus at ${this.#path} ${what}`, { cause });
  }
}

function refusal(call: MethodCall, reply: Message): WorkloadAttestError {
  const [text] = reply.arguments();
  const said = typeof text === 'string' ? `: ${text.slice(0, shownErrorText)}` : '';
  return new WorkloadAttestError('BUS_REFUSAL', `${call.member}: ${reply.errorName ?? 'error without a name'}${said}`);
}
