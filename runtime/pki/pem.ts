// PEM (RFC 7468): text around DER. Text between blocks is ignored, as every tool does; inside a block everything is strict.
import { refuse } from './errors.ts';

export interface PemBlock {
  readonly label: string;
  readonly der: Uint8Array;
}

const begin = /^-----BEGIN ([A-Z0-9]+(?: [A-Z0-9]+)*)-----$/;

export function encodePem(label: string, der: Uint8Array): string {
  const base64 = Buffer.from(der.buffer, der.byteOffset, der.length).toString('base64');
  const lines = base64.match(/.{1,64}/g) ?? [];
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n');
}

export function parsePem(text: string): PemBlock[] {
  const blocks: PemBlock[] = [];
  let open: { label: string; lines: string[] } | undefined;
  for (const raw of text.split('\n')) {
    const line = raw.trimEnd();
    const label = begin.exec(line)?.[1];
    if (label !== undefined) {
      if (open !== undefined) throw refuse('PEM', `block "${open.label}" has no end`);
      open = { label, lines: [] };
    } else if (open !== undefined && line === `-----END ${open.label}-----`) {
      blocks.push({ label: open.label, der: decodeBase64(open.lines.join(''), open.label) });
      open = undefined;
    } else open?.lines.push(line.trimStart());
  }
  if (open !== undefined) throw refuse('PEM', `block "${open.label}" has no end`);
  return blocks;
}

/** The certificates of a PEM text, in order; refuses other blocks and a text without any. */
export function certificatesFromPem(text: string): Uint8Array[] {
  const blocks = parsePem(text);
  if (blocks.length === 0) throw refuse('PEM', 'no certificate found');
  const other = blocks.find(({ label }) => label !== 'CERTIFICATE');
  if (other !== undefined) throw refuse('PEM', `found a block "${other.label}", want certificates only`);
  return blocks.map(({ der }) => der);
}

export function certificatesToPem(ders: readonly Uint8Array[]): string {
  return ders.map((der) => encodePem('CERTIFICATE', der)).join('');
}

function decodeBase64(text: string, label: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  // Node skips what it does not know; only text that encodes back to itself was base64.
  if (text === '' || bytes.toString('base64') !== text) throw refuse('PEM', `block "${label}" is not base64`);
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
