// A workload that costs next to nothing: it opens streams of the Workload API on one connection by frames that it writes itself, and counts the
// answers. For tests that measure the agent and not its clients.
import { once } from 'node:events';
import { connect } from 'node:net';
import { callHeaders, flags, frame, frameTypes, grpcMessage } from './http2-frames.ts';

export const fetchX509Svid = '/SpiffeWorkloadAPI/FetchX509SVID';
export const securityHeader: readonly [string, string] = ['workload.spiffe.io', 'true'];

export interface RawStreams {
  /** Resolves when each stream has had that many answers; rejects where the agent ended a stream or the connection. */
  answered(times: number): Promise<void>;
  close(): void;
}

export interface RawStreamsOptions {
  readonly socketPath: string;
  readonly count: number;
  readonly path?: string;
}

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** As much as there is: updates come for as long as somebody listens. */
const window = Buffer.alloc(4);
window.writeUInt32BE(0x7fff_ffff - 65_535);

export async function openRawStreams({ socketPath, count, path = fetchX509Svid }: RawStreamsOptions) {
  const socket = connect(socketPath);
  await once(socket, 'connect');
  /** Of the first stream in the first place, of the second in the second. */
  const answers = new Uint32Array(count);
  const readers = Array.from({ length: count }, createMessageCounter);
  const waiting = new Set<() => void>();
  let failure: Error | undefined;
  const wake = (): void => {
    for (const one of waiting) one();
  };
  const fail = (message: string): void => {
    failure ??= new Error(message);
    wake();
  };
  const read = createFrameReader(({ type, flag, stream, payload }) => {
    if (type === frameTypes.settings && flag === 0) socket.write(frame(frameTypes.settings, flags.endStream, 0));
    if (type === frameTypes.ping && flag === 0) socket.write(frame(frameTypes.ping, flags.endStream, 0, payload));
    const index = (stream - 1) / 2;
    if (type === frameTypes.data) answers[index] = (answers[index] ?? 0) + (readers[index]?.(payload) ?? 0);
    const isOver = (flag & flags.endStream) !== 0 && type <= frameTypes.headers;
    if (stream > 0 && (type === frameTypes.resetStream || isOver)) fail(`agent ended stream ${index}`);
  });
  socket.on('data', (chunk) => {
    read(chunk);
    wake();
  });
  socket.on('error', (error) => fail(error.message));
  socket.on('close', () => fail('agent closed the connection'));

  const request = grpcMessage(new Uint8Array());
  const calls = Array.from({ length: count }, (_, index) => [
    frame(frameTypes.headers, flags.endHeaders, 2 * index + 1, callHeaders(path, [securityHeader])),
    frame(frameTypes.data, flags.endStream, 2 * index + 1, request),
  ]);
  const opening = [preface, frame(frameTypes.settings, 0, 0), frame(frameTypes.windowUpdate, 0, 0, window)];
  socket.write(Buffer.concat([...opening, ...calls.flat()]));

  const streams: RawStreams = {
    answered: (times) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const isThere = answers.every((number) => number >= times);
          if (!isThere && failure === undefined) return;
          waiting.delete(look);
          if (isThere) resolve();
          else reject(failure ?? new Error('unreachable'));
        };
        waiting.add(look);
        look();
      }),
    close: () => socket.destroy(),
  };
  return streams;
}

interface Frame {
  readonly type: number;
  readonly flag: number;
  readonly stream: number;
  readonly payload: Buffer;
}

function createFrameReader(take: (frame: Frame) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const end = 9 + rest.readUIntBE(0, 3);
      const [type, flag, stream] = [rest[3] ?? 0, rest[4] ?? 0, rest.readUInt32BE(5) & 0x7fff_ffff];
      take({ type, flag, stream, payload: rest.subarray(9, end) });
      rest = rest.subarray(end);
    }
  };
}

/** How many messages of a stream end within a frame. */
function createMessageCounter(): (payload: Buffer) => number {
  let head = Buffer.alloc(0);
  let missing = 0;
  return (payload) => {
    let ended = 0;
    let rest = payload;
    while (rest.length > 0) {
      if (missing > 0) {
        const taken = Math.min(missing, rest.length);
        missing -= taken;
        rest = rest.subarray(taken);
        if (missing === 0) ended += 1;
        continue;
      }
      const taken = Math.min(5 - head.length, rest.length);
      head = Buffer.concat([head, rest.subarray(0, taken)]);
      rest = rest.subarray(taken);
      if (head.length < 5) continue;
      missing = head.readUInt32BE(1);
      head = Buffer.alloc(0);
      if (missing === 0) ended += 1;
    }
    return ended;
  };
}
