// Stands between a server and PostgreSQL, and cuts the connection on which a certain change is about to be committed, has just been asked for, or has
// just been answered. It reads as much of the protocol (PostgreSQL's documentation, "Message Formats") as tells statements from each other.
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** Before PostgreSQL hears of the commit; after it was told, before the answer comes back; after the answer came back. */
export const moments = ['before', 'during', 'after'] as const;
export type Moment = (typeof moments)[number];

export interface DatabaseProxy {
  readonly port: number;
  /** The next change whose statement fits: once. Resolves when it was cut. */
  cut(statement: RegExp, moment: Moment): Promise<void>;
  /** No longer waits for a change that never came. */
  forget(): void;
  close(): Promise<void>;
}

interface Trap {
  readonly statement: RegExp;
  readonly moment: Moment;
  readonly sprung: () => void;
}

export async function startDatabaseProxy(database: {
  readonly host: string;
  readonly port: number;
}): Promise<DatabaseProxy> {
  let trap: Trap | undefined;
  const sockets = new Set<Socket>();
  const keep = (socket: Socket): Socket => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    return socket;
  };
  const take = (moment: Moment, trapped: Trap | undefined): boolean => {
    if (trapped === undefined || trapped !== trap || trapped.moment !== moment) return false;
    trap = undefined;
    trapped.sprung();
    return true;
  };

  const server = createServer((client) => {
    const upstream = keep(connect(database));
    keep(client);
    const cut = (): void => {
      client.destroy();
      upstream.destroy();
    };
    const reader = createStatementReader();
    let committing: Trap | undefined;
    client.on('data', (chunk: Buffer) => {
      const commits = reader.read(chunk).some((statement) => isCommitOf(statement, trap?.statement));
      if (commits) committing = trap;
      if (commits && take('before', committing)) return cut();
      upstream.write(chunk);
    });
    upstream.on('data', (chunk: Buffer) => {
      if (take('during', committing)) return cut();
      const after = take('after', committing);
      client.write(chunk, () => {
        if (after) cut();
      });
    });
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    cut: (statement, moment) =>
      new Promise((resolve) => {
        trap = { statement, moment, sprung: resolve };
      }),
    forget() {
      trap = undefined;
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

interface Statement {
  readonly text: string;
  /** Those before it in the same transaction; empty where it is one of its own. */
  readonly transaction: readonly string[];
  readonly inTransaction: boolean;
}

/** A statement of its own commits itself; within a transaction COMMIT does, for all before it. */
function isCommitOf({ text, transaction, inTransaction }: Statement, wanted: RegExp | undefined): boolean {
  if (wanted === undefined) return false;
  if (!inTransaction) return wanted.test(text);
  return /^\s*COMMIT/i.test(text) && transaction.some((earlier) => wanted.test(earlier));
}

const code = { query: 0x51, parse: 0x50, bind: 0x42 };

/** Puts messages together that come in pieces; a statement that was prepared under a name is known by it later. */
function createStatementReader() {
  let rest = Buffer.alloc(0);
  let isStarted = false;
  const prepared = new Map<string, string>();
  let transaction: string[] | undefined;

  const note = (text: string): Statement => {
    const inTransaction = transaction !== undefined;
    const statement = { text, transaction: transaction ?? [], inTransaction };
    if (/^\s*(?:BEGIN|START TRANSACTION)/i.test(text)) transaction = [];
    else if (/^\s*(?:COMMIT|ROLLBACK)\s*$/i.test(text)) transaction = undefined;
    else transaction?.push(text);
    return statement;
  };

  const understand = (type: number, body: Buffer): Statement[] => {
    if (type === code.query) return [note(text(body, 0).value)];
    if (type === code.parse) {
      const name = text(body, 0);
      prepared.set(name.value, text(body, name.end).value);
    }
    if (type !== code.bind) return [];
    const portal = text(body, 0);
    const statement = prepared.get(text(body, portal.end).value);
    return statement === undefined ? [] : [note(statement)];
  };

  return {
    read(chunk: Buffer): Statement[] {
      rest = Buffer.concat([rest, chunk]);
      const found: Statement[] = [];
      for (;;) {
        // The first message of a connection has no type.
        const head = isStarted ? 1 : 0;
        if (rest.length < head + 4) return found;
        const length = rest.readInt32BE(head);
        if (rest.length < head + length) return found;
        if (isStarted) found.push(...understand(rest[0] ?? 0, rest.subarray(head + 4, head + length)));
        isStarted = true;
        rest = rest.subarray(head + length);
      }
    },
  };
}

function text(body: Buffer, from: number): { readonly value: string; readonly end: number } {
  const zero = body.indexOf(0, from);
  const end = zero === -1 ? body.length : zero;
  return { value: body.toString('utf8', from, end), end: end + 1 };
}
