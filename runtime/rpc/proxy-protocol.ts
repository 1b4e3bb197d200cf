// The PROXY protocol, versions 1 and 2: a load balancer's word on whose connection it passes on. Believed from trusted addresses only; to anybody
// else a header is not TLS, and ends the connection as such.
import type { Socket } from 'node:net';
import { BlockList, isIP } from 'node:net';

/** Whose connection it is; absent where the balancer speaks for itself (LOCAL, UNKNOWN). */
export interface ProxySource {
  readonly address: string;
  readonly port: number;
}

export type ProxyHeader =
  | { readonly kind: 'incomplete' | 'none' }
  | { readonly kind: 'header'; readonly length: number; readonly source?: ProxySource };

const signatureV1 = Buffer.from('PROXY ');
const signatureV2 = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a]);
/** The standard's bound for a line, and ours for what version 2 lets a header grow to. */
const maxLine = 107;
const maxV2Length = 4096;
const fixedV2Length = 16;

/** Throws for what begins as a header and is none. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsLike(bytes, signatureV1)) return bytes.length < signatureV1.length ? incomplete : parseV1(bytes);
  if (beginsLike(bytes, signatureV2)) return bytes.length < fixedV2Length ? incomplete : parseV2(bytes);
  return { kind: 'none' };
}

const incomplete: ProxyHeader = { kind: 'incomplete' };

function beginsLike(bytes: Buffer, signature: Buffer): boolean {
  const length = Math.min(bytes.length, signature.length);
  return bytes.subarray(0, length).equals(signature.subarray(0, length));
}

function parseV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, maxLine).indexOf('\r\n');
  if (end === -1 && bytes.length >= maxLine) throw new Error(`PROXY line is longer than ${maxLine} bytes`);
  if (end === -1) return incomplete;
  const length = end + 2;
  const [, family, ...fields] = bytes.subarray(0, end).toString('latin1').split(' ');
  if (family === 'UNKNOWN') return { kind: 'header', length };
  const [address = '', destination = '', port = '', destinationPort = ''] = fields;
  const version = family === 'TCP4' ? 4 : 6;
  const isWhole = (family === 'TCP4' || family === 'TCP6') && fields.length === 4;
  if (!isWhole || isIP(address) !== version || isIP(destination) !== version) throw malformed('addresses');
  if (![port, destinationPort].every(isPort)) throw malformed('ports');
  return { kind: 'header', length, source: { address, port: Number(port) } };
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

function parseV2(bytes: Buffer): ProxyHeader {
  const [command, family] = [bytes.readUInt8(12), bytes.readUInt8(13)];
  const length = fixedV2Length + bytes.readUInt16BE(14);
  if (command !== 0x20 && command !== 0x21) throw malformed('version or command');
  if (length > maxV2Length) throw new Error(`PROXY header is longer than ${maxV2Length} bytes`);
  if (bytes.length < length) return incomplete;
  const body = bytes.subarray(fixedV2Length, length);
  if (command === 0x20) return { kind: 'header', length };
  if (family === 0x11 && body.length >= 12) {
    return { kind: 'header', length, source: { address: body.subarray(0, 4).join('.'), port: body.readUInt16BE(8) } };
  }
  if (family === 0x21 && body.length >= 36) {
    const groups = Array.from({ length: 8 }, (_, i) => body.readUInt16BE(2 * i).toString(16));
    return { kind: 'header', length, source: { address: groups.join(':'), port: body.readUInt16BE(32) } };
  }
  throw malformed('address family');
}

function malformed(what: string): Error {
  return new Error(`PROXY header has malformed ${what}`);
}

/** Networks in CIDR notation; throws for what is none. */
export function parseTrustedNetworks(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', prefix = '', ...more] = cidr.split('/');
    const version = isIP(address);
    const isPrefix = /^\d{1,3}$/.test(prefix) && Number(prefix) <= (version === 4 ? 32 : 128);
    if (version === 0 || !isPrefix || more.length > 0) throw new Error(`invalid CIDR address: ${cidr}`);
    list.addSubnet(address, Number(prefix), version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

export function isTrusted(networks: BlockList, address: string | undefined): boolean {
  // A socket for both families shows IPv4 addresses inside IPv6.
  const plain = address?.replace(/^::ffff:(?=\d+\.)/, '') ?? '';
  const version = isIP(plain);
  return version !== 0 && networks.check(plain, version === 4 ? 'ipv4' : 'ipv6');
}

/** Takes a header off the beginning of a connection; what follows it stays to be read. Throws where it is malformed or does not come in time. */
export function takeProxyHeader(socket: Socket, timeoutMs: number): Promise<ProxySource | undefined> {
  return new Promise((resolve, reject) => {
    let read = Buffer.alloc(0);
    const timer = setTimeout(() => finish(() => reject(new Error('no data in time'))), timeoutMs);
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      socket.off('readable', look).off('end', onEnd).off('error', onEnd);
      act();
    };
    const onEnd = (): void => finish(() => reject(new Error('connection ended before its first bytes')));
    const look = (): void => {
      const chunk = socket.read() as Buffer | null;
      if (chunk === null) return;
      read = Buffer.concat([read, chunk]);
      let header: ProxyHeader;
      try {
        header = parseProxyHeader(read);
      } catch (error) {
        finish(() => reject(error instanceof Error ? error : new Error(String(error))));
        return;
      }
      if (header.kind === 'incomplete') return;
      const rest = header.kind === 'header' ? read.subarray(header.length) : read;
      finish(() => {
        if (rest.length > 0) socket.unshift(rest);
        resolve(header.kind === 'header' ? header.source : undefined);
      });
    };
    socket.on('readable', look).on('end', onEnd).on('error', onEnd);
  });
}
