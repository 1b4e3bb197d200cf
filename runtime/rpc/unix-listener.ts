// Listens on a Unix socket and says which process connects. The directory's mode guards the moment before the socket's own mode is set.
import { chmod, lstat, unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';
import type { RpcLog } from './call-context.ts';
import type { UnixConnection } from './connection.ts';
import { peerCredentials } from './peer-credentials.ts';

/** sockaddr_un.sun_path, less the NUL at its end. */
const longestPath = 107;
/** Connections that the kernel keeps until they are accepted; on a Unix socket one more is refused and not left to wait. Linux takes no more. */
const backlog = 4_096;

export interface UnixListenerOptions {
  readonly path: string;
  readonly mode: number;
  readonly log: RpcLog | undefined;
  readonly accept: (socket: Socket, connection: UnixConnection) => void;
}

/** Listens until the server that it returns is closed; closing it removes the socket. */
export async function listenOnUnixSocket({ path, mode, log, accept }: UnixListenerOptions): Promise<Server> {
  const length = Buffer.byteLength(path);
  if (length > longestPath)
    throw new Error(`socket path has ${length} bytes, at most ${longestPath} are possible: ${path}`);
  await removeStaleSocket(path);

  const server = createServer((socket) => {
    // Without a listener a reset between here and HTTP/2 would end the process.
    socket.on('error', () => socket.destroy());
    try {
      accept(socket, { transport: 'unix', ...peerCredentials(socket) });
    } catch (error) {
      log?.warn({ err: error, path }, 'connection refused: its process is unknown');
      socket.destroy();
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog }, resolve);
  });
  await chmod(path, mode);
  return server;
}

/** A socket that nobody answers is left over from a process that was killed. Anything else at the path is not ours to remove. */
async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`not a socket: ${path}`);
  if (await isAnswered(path)) throw new Error(`another process listens on ${path}`);
  await unlink(path);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}
