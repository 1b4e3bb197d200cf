// Hostile DER: what X.690 §10 forbids, and lengths that lie.
import { describe, expect, test } from 'vitest';
import { decodeOid, encodeOid } from '../../../runtime/pki/der/oid.ts';
import { DerReader, decodeNamedBits, decodeSmallInteger, readWhole } from '../../../runtime/pki/der/reader.ts';
import { decodeTime, encodeTime } from '../../../runtime/pki/der/time.ts';
import { element, integer, namedBits, sequence, setOf, smallInteger } from '../../../runtime/pki/der/writer.ts';
import { expectRefusal } from './refusal.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const hexOf = (value: Uint8Array): string => Buffer.from(value).toString('hex');

describe('an element', () => {
  test.each([
    ['nothing at all', ''],
    ['a tag without a length', '30'],
    ['an indefinite length', '30 80 00 00'],
    ['a length in one byte that was written in two', '04 81 01 00'],
    ['a length with a leading zero', `04 82 00 80 ${'00'.repeat(128)}`],
    ['a length of four bytes', '04 84 00 00 00 01 00'],
    ['a length of 126 bytes', `04 fe ${'ff'.repeat(126)}`],
    ['the reserved length 0xff', '04 ff 00'],
    ['a length that passes the end', '04 02 00'],
    ['the greatest length', '04 83 ff ff ff 00'],
    ['a length that is cut short', '04 82 01'],
    ['a tag number above 30', '1f 81 01 00'],
    ['an end-of-contents tag', '00 00'],
  ])('is refused: %s', (_, hex) => {
    expectRefusal(() => new DerReader(bytes(hex)).element(), 'DER');
  });

  test('is refused when something follows it', () => {
    expectRefusal(
      () => readWhole(bytes('05 00 00'), (reader) => reader.null()),
      'DER',
      '1 bytes after the last element',
    );
  });

  test('is refused when it reaches beyond the element around it', () => {
    expectRefusal(
      () => new DerReader(bytes('30 03 04 05 00 00 00 00 00')).sequence().element(),
      'DER',
      /passes the end/,
    );
  });

  test('is refused when its tag is another', () => {
    expectRefusal(() => new DerReader(bytes('05 00')).sequence(), 'DER', 'found tag 0x5 at byte 0, want tag 0x30');
  });

  test('is refused when it is missing at the end of the element around it', () => {
    expectRefusal(() => new DerReader(bytes('30 00 02 01 01')).sequence().integer(), 'DER', /found the end/);
  });

  test('may nest a hundred thousand deep without harm: nothing recurses', () => {
    const reader = new DerReader(bytes('30 80'.repeat(100_000)));
    expectRefusal(() => reader.element(), 'DER');
  });

  test.each([0, 127, 128, 255, 256, 65_535, 65_536])('of %i bytes is written as it is read', (length) => {
    const der = element(0x04, new Uint8Array(length));
    expect(new DerReader(der).content(0x04).length).toBe(length);
  });
});

describe('a value', () => {
  test.each([
    ['an empty integer', (r: DerReader) => r.integer(), '02 00'],
    ['an integer with a needless zero', (r: DerReader) => r.integer(), '02 02 00 7f'],
    ['an integer with a needless sign', (r: DerReader) => r.integer(), '02 02 ff 80'],
    ['a boolean that is 1', (r: DerReader) => r.boolean(), '01 01 01'],
    ['a boolean of two bytes', (r: DerReader) => r.boolean(), '01 02 ff ff'],
    ['an empty boolean', (r: DerReader) => r.boolean(), '01 00'],
    ['a null with content', (r: DerReader) => r.null(), '05 01 00'],
    ['a bit string without its first byte', (r: DerReader) => r.bitString(), '03 00'],
    ['a bit string of broken bytes', (r: DerReader) => r.bitString(), '03 02 01 fe'],
  ])('is refused: %s', (_, read, hex) => {
    expectRefusal(() => read(new DerReader(bytes(hex))), 'DER');
  });

  test.each([
    ['no count of unused bits', ''],
    ['eight unused bits', '08 80'],
    ['unused bits and no bits', '01'],
    ['unused bits that are set', '01 83'],
    ['a trailing zero bit', '00 80'],
  ])('named bits are refused: %s', (_, hex) => {
    expectRefusal(() => decodeNamedBits(bytes(hex)), 'DER');
  });

  test.each([
    ['a negative number', 'ff'],
    ['a number of five bytes', '01 00 00 00 00'],
  ])('a small integer is refused: %s', (_, hex) => {
    expectRefusal(() => decodeSmallInteger(bytes(hex)), 'DER');
  });

  test('a set is written in the order of its bytes', () => {
    expect(hexOf(setOf(smallInteger(2), smallInteger(1)))).toBe('3106020101020102');
  });

  test('integers are written without needless bytes and with a sign where one is needed', () => {
    const written = ['00', '7f', '80', '0001', '000080'].map((hex) => hexOf(integer(bytes(hex))));
    expect(written).toEqual(['020100', '02017f', '02020080', '020101', '02020080']);
  });

  test('named bits are written without trailing zeros', () => {
    expect(hexOf(namedBits([true, false, true, false, true, false, false, false, false]))).toBe('030203a8');
    expect(hexOf(sequence(namedBits([false, false])))).toBe('3003030100');
  });
});

describe('an object identifier', () => {
  test.each(['0.9', '1.2.840.113549.1.1.11', '2.5.29.17', '2.16.840.1.101.3.4.2.1', '2.999.1', '1.3.6.1.4.1.99999999'])(
    'is written as it is read: %s',
    (dotted) => {
      expect(decodeOid(new DerReader(encodeOid(dotted)).content(0x06))).toBe(dotted);
    },
  );

  test.each([
    ['empty', ''],
    ['cut short', '2a 86'],
    ['with a needless leading byte', '2a 80 01'],
    ['with an arc of eight bytes', '2a ff ff ff ff ff ff ff 7f'],
    ['of 65 bytes', '01'.repeat(65)],
  ])('is refused: %s', (_, hex) => {
    expectRefusal(() => decodeOid(bytes(hex)), 'DER');
  });
});

describe('a time', () => {
  const time = (tag: number, text: string) => () =>
    decodeTime(new DerReader(element(tag, Uint8Array.from(Buffer.from(text, 'latin1')))).element());

  test.each([
    [Date.UTC(1950, 0, 1), '170d3530303130313030303030305a'],
    [Date.UTC(2049, 11, 31, 23, 59, 59), '170d3439313233313233353935395a'],
    [Date.UTC(2050, 0, 1), '180f32303530303130313030303030305a'],
    [Date.UTC(9999, 11, 31, 23, 59, 59), '180f39393939313233313233353935395a'],
  ])('%i is written in the form that RFC 5280 wants, and read back', (epoch, hex) => {
    expect(hexOf(encodeTime(epoch + 999))).toBe(hex);
    expect(decodeTime(new DerReader(bytes(hex)).element())).toBe(epoch);
  });

  test.each([
    ['without seconds', 0x17, '2601011200Z'],
    ['with an offset', 0x17, '260101120000+0100'],
    ['without Z', 0x17, '260101120000'],
    ['with a fraction', 0x18, '20500101120000.5Z'],
    ['in month 13', 0x17, '261301120000Z'],
    ['in month 0', 0x17, '260001120000Z'],
    ['on 30 February', 0x17, '260230120000Z'],
    ['at hour 24', 0x17, '260101240000Z'],
    ['at second 60', 0x17, '260101235960Z'],
    ['in 2049 as GeneralizedTime', 0x18, '20490101120000Z'],
    ['with a sign', 0x17, '-60101120000Z'],
    ['of another tag', 0x16, '260101120000Z'],
  ])('is refused: %s', (_, tag, text) => {
    expectRefusal(time(tag, text), 'DER');
  });

  test.each([Number.NaN, Infinity, Date.UTC(1949, 11, 31), Date.UTC(10_000, 0, 1)])('%d cannot be written', (epoch) => {
    expectRefusal(() => encodeTime(epoch), 'PROFILE');
  });
});
