// Asks the kernel who connected to a Unix socket: SO_PEERCRED, through koffi, as Node has no call for it. Linux only.
import type { Socket } from 'node:net';
import koffi from 'koffi';

export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const ucredBytes = 12;

type GetSockOpt = (fd: number, level: number, option: number, value: Uint8Array, length: Uint32Array) => number;

let loaded: GetSockOpt | undefined;

/** Loaded at first use: importing this file touches nothing. */
function getSockOpt(): GetSockOpt {
  loaded ??= koffi
    .load(null)
    .func(
      'int getsockopt(int fd, int level, int option, _Out_ uint8_t *value, _Inout_ uint32_t *length)',
    ) as GetSockOpt;
  return loaded;
}

/**
 * The process that connected, as it was when it connected. Throws where the kernel does not say. The pid is 0 for a process of a pid namespace
 * that we do not see: it can be served, never attested.
 */
export function peerCredentials(socket: Socket): PeerCredentials {
  const fd = fileDescriptor(socket);
  const value = new Uint8Array(ucredBytes);
  const length = new Uint32Array([ucredBytes]);
  if (getSockOpt()(fd, SOL_SOCKET, SO_PEERCRED, value, length) !== 0) {
    throw new Error(`getsockopt(SO_PEERCRED) failed for file descriptor ${fd}, errno ${koffi.errno()}`);
  }
  if (length[0] !== ucredBytes) throw new Error(`SO_PEERCRED gave ${length[0] ?? 0} bytes, want ${ucredBytes}`);
  const view = new DataView(value.buffer);
  const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
  const [pid, uid, gid] = [0, 4, 8].map((offset) => view.getUint32(offset, littleEndian)) as [number, number, number];
  return { pid, uid, gid };
}

function fileDescriptor(socket: Socket): number {
  const { _handle: handle } = socket as unknown as { _handle: { fd?: number } | null };
  if (handle?.fd === undefined || handle.fd < 0) throw new Error('socket has no file descriptor: it is closed');
  return handle.fd;
}
