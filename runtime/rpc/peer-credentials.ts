// Asks the kernel who connected to a Unix socket: SO_PEERCRED and SO_PEERPIDFD, through koffi, as Node has no call for them. Linux only.
import type { Socket } from 'node:net';
import koffi from 'koffi';
import { readStartTime } from './process-start.ts';

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** Of the process that connected, in ticks since boot. Absent where that is not certain: such a process can be served, never attested. */
  readonly startTime?: string;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_PEERPIDFD = 77;
const ENOPROTOOPT = 92;
const POLLIN = 1;
const POLLHUP = 16;

interface LibC {
  readonly getsockopt: (fd: number, level: number, option: number, value: Uint32Array, length: Uint32Array) => number;
  readonly poll: (fds: Int32Array, count: number, timeoutMs: number) => number;
  readonly close: (fd: number) => number;
}

let loaded: LibC | undefined;

/** Loaded at first use: importing this file touches nothing. */
function libc(): LibC {
  if (loaded !== undefined) return loaded;
  const library = koffi.load(null);
  loaded = {
    getsockopt: library.func(
      'int getsockopt(int fd, int level, int option, _Out_ uint32_t *value, _Inout_ uint32_t *length)',
    ) as LibC['getsockopt'],
    poll: library.func('int poll(_Inout_ int32_t *fds, unsigned long count, int timeout)') as LibC['poll'],
    close: library.func('int close(int fd)') as LibC['close'],
  };
  return loaded;
}

/**
 * The process that connected, as it was when it connected. Throws where the kernel does not say. The pid is 0 for a process of a pid namespace
 * that we do not see. `startTimeOf` is for tests.
 */
export function peerCredentials(socket: Socket, startTimeOf = readStartTime): PeerCredentials {
  const fd = fileDescriptor(socket);
  const value = new Uint32Array(3); // struct ucred: pid, uid, gid
  const length = new Uint32Array([value.byteLength]);
  if (libc().getsockopt(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0) {
    throw new Error(`getsockopt(SO_PEERCRED) failed for file descriptor ${fd}, errno ${koffi.errno()}`);
  }
  const [pid, uid, gid] = value;
  if (length[0] !== value.byteLength || pid === undefined || uid === undefined || gid === undefined) {
    throw new Error(`SO_PEERCRED gave ${length[0] ?? 0} bytes, want ${value.byteLength}`);
  }
  if (pid === 0) return { pid, uid, gid };
  const startTime = startTimeOf(pid);
  // Only a process that is there after the look at /proc is the one that was looked at: a pid is not given away while its process lives.
  const isCertain = startTime !== undefined && (peerLives(fd) ?? startTimeOf(pid) === startTime);
  return isCertain ? { pid, uid, gid, startTime } : { pid, uid, gid };
}

/** Whether the process that connected still runs; undefined before Linux 6.5, which cannot say. */
function peerLives(fd: number): boolean | undefined {
  const { getsockopt, poll, close } = libc();
  const value = new Uint32Array(1);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, value, new Uint32Array([value.byteLength])) !== 0) {
    return koffi.errno() === ENOPROTOOPT ? undefined : false;
  }
  const [pidfd] = value;
  if (pidfd === undefined) return false;
  try {
    // struct pollfd: the descriptor, then what is asked for and what is answered, 16 bits each. The end of a process can be read.
    const asked = new Int32Array([pidfd, 0]);
    new Int16Array(asked.buffer)[2] = POLLIN;
    return poll(asked, 1, 0) === 0;
  } finally {
    close(pidfd);
  }
}

/** Whether the peer has closed its end, for which nobody has to read what it still said before. */
export function hasHungUp(socket: Socket): boolean {
  // struct pollfd, as above: the end of a connection is answered without being asked for.
  const asked = new Int32Array([fileDescriptor(socket), 0]);
  if (libc().poll(asked, 1, 0) <= 0) return false;
  return ((new Int16Array(asked.buffer)[3] ?? 0) & POLLHUP) !== 0;
}

function fileDescriptor(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) throw new Error('socket has no file descriptor: it is closed');
  return handle.fd;
}
