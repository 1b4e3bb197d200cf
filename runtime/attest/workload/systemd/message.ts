// The messages of D-Bus that a client needs (D-Bus Specification, "Message Protocol"): calls are encoded, whatever comes is parsed.
// Arguments are strings and unsigned numbers only; every length is checked before it is believed.
import { MessageReader, MessageWriter } from './marshal.ts';
import type { Argument } from './marshal.ts';

export interface MethodCall {
  readonly destination: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  /** A string goes as STRING, a number as UINT32. */
  readonly arguments: readonly (string | number)[];
}

export interface Message {
  readonly kind: 'return' | 'error' | 'other';
  readonly replySerial: number | undefined;
  readonly errorName: string | undefined;
  /** Read only when asked for: what others send may have arguments that we do not know. */
  arguments(): Argument[];
}

/** Far above any answer that we ask for; the bus itself would pass 128 MiB on. */
export const maxMessageBytes = 64 * 1024;

const methodCall = 1;
const kinds: Readonly<Record<number, Message['kind']>> = { 2: 'return', 3: 'error' };
const noAutoStart = 2;
const version = 1;
const field = { path: 1, interface: 2, member: 3, errorName: 4, replySerial: 5, destination: 6, signature: 8 } as const;
const fixedBytes = 16;

export function encodeCall(call: MethodCall, serial: number): Buffer {
  const body = new MessageWriter();
  for (const argument of call.arguments) {
    if (typeof argument === 'string') body.string(argument);
    else body.uint32(argument);
  }
  const signature = call.arguments.map((argument) => (typeof argument === 'string' ? 's' : 'u')).join('');
  const fields = new MessageWriter();
  fields.field(field.path, 'o', call.path);
  fields.field(field.interface, 's', call.interface);
  fields.field(field.member, 's', call.member);
  fields.field(field.destination, 's', call.destination);
  if (signature !== '') fields.field(field.signature, 'g', signature);
  const header = new MessageWriter();
  for (const byte of ['l'.charCodeAt(0), methodCall, noAutoStart, version]) header.byte(byte);
  header.uint32(body.length);
  header.uint32(serial);
  header.uint32(fields.length); // the fields begin at 16, which needs no padding
  fields.align(8);
  return Buffer.concat([header.bytes(), fields.bytes(), body.bytes()]);
}

/** The first message of the bytes and its length; undefined while it is not whole. Throws where it is none, or too large. */
export function parseMessage(bytes: Buffer): { readonly message: Message; readonly length: number } | undefined {
  if (bytes.length < fixedBytes) return undefined;
  const little = bytes[0] === 'l'.charCodeAt(0);
  if (!little && bytes[0] !== 'B'.charCodeAt(0)) throw new Error(`message has the byte order ${bytes[0]}`);
  if (bytes[3] !== version) throw new Error(`message has the protocol version ${bytes[3]}`);
  const reader = new MessageReader(bytes.subarray(0, fixedBytes), little, 4);
  const bodyBytes = reader.uint32();
  reader.uint32(); // the sender's serial
  const fieldBytes = reader.uint32();
  const headerBytes = Math.ceil((fixedBytes + fieldBytes) / 8) * 8;
  const length = headerBytes + bodyBytes;
  if (length > maxMessageBytes) throw new Error(`message has ${length} bytes, more than ${maxMessageBytes}`);
  if (bytes.length < length) return undefined;
  const fields = parseFields(new MessageReader(bytes.subarray(0, fixedBytes + fieldBytes), little, fixedBytes));
  const body = bytes.subarray(headerBytes, length);
  const signature = textOf(fields.get(field.signature)) ?? '';
  const replySerial = fields.get(field.replySerial);
  return {
    length,
    message: {
      kind: kinds[bytes[1] ?? 0] ?? 'other',
      replySerial: typeof replySerial === 'number' ? replySerial : undefined,
      errorName: textOf(fields.get(field.errorName)),
      arguments: () => new MessageReader(body, little, 0).values(signature),
    },
  };
}

function parseFields(reader: MessageReader): Map<number, Argument> {
  const fields = new Map<number, Argument>();
  while (!reader.isAtEnd) {
    reader.align(8);
    fields.set(reader.byte(), reader.variant());
  }
  return fields;
}

function textOf(value: Argument | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
