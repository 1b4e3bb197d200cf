// PEM: what is between the lines is strict, what is around them is ignored.
import { describe, expect, test } from 'vitest';
import { certificatesFromPem, certificatesToPem, encodePem, parsePem } from '../../../runtime/pki/pem.ts';
import { expectRefusal } from './refusal.ts';

const der = Uint8Array.from({ length: 100 }, (_, index) => index);
const block = encodePem('CERTIFICATE', der);

describe('PEM', () => {
  test('is written in lines of 64 characters and read back', () => {
    expect(block.split('\n').map((line) => line.length)).toEqual([27, 64, 64, 8, 25, 0]);
    expect(parsePem(block)).toEqual([{ label: 'CERTIFICATE', der }]);
  });

  test('may have text around its blocks, carriage returns and labels of several words', () => {
    const text = `Bag Attributes\r\n${block}subject=CN\n${encodePem('EC PRIVATE KEY', Uint8Array.of(1))}bye`.replaceAll(
      '\n',
      '\r\n',
    );
    expect(parsePem(text).map(({ label }) => label)).toEqual(['CERTIFICATE', 'EC PRIVATE KEY']);
  });

  test('without a block is an empty list', () => {
    expect(parsePem('nothing here')).toEqual([]);
  });

  test.each([
    ['a block without an end', block.slice(0, 60)],
    ['a block inside a block', `-----BEGIN CERTIFICATE-----\n${block}`],
    ['an end with another label', block.replace('END CERTIFICATE', 'END KEY')],
    ['an empty block', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----'],
    ['a character that is no base64', block.replace('AAEC', 'AA*C')],
    ['base64 without its padding', block.replace('==', '')],
    ['base64 with bits in its padding', encodePem('CERTIFICATE', Uint8Array.of(0)).replace('AA==', 'AB==')],
    ['base64url', encodePem('CERTIFICATE', Uint8Array.of(0xfb, 0xff)).replace('+/8=', '-_8=')],
    ['a header, as in encrypted keys', block.replace('\nAAEC', '\nProc-Type: 4,ENCRYPTED\n\nAAEC')],
  ])('is refused: %s', (_, text) => {
    expectRefusal(() => parsePem(text), 'PEM');
  });
});

describe('certificates in PEM', () => {
  test('are written one after another and read in order', () => {
    const ders = [der, Uint8Array.of(1, 2, 3)];
    expect(certificatesFromPem(certificatesToPem(ders))).toEqual(ders);
  });

  test('are refused when there is none', () => {
    expectRefusal(() => certificatesFromPem(''), 'PEM', 'no certificate found');
  });

  test('are refused with a key among them', () => {
    const text = block + encodePem('PRIVATE KEY', der);
    expectRefusal(() => certificatesFromPem(text), 'PEM', 'found a block "PRIVATE KEY", want certificates only');
  });
});
