// The strict reader: typed settings, and every fault with its place, all together.
import { describe, expect, it } from 'vitest';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { ConfigError, createHclReader } from '../../../runtime/hcl/reader.ts';
import type { HclReader } from '../../../runtime/hcl/reader.ts';

const readerOf = (text: string, path?: string) => createHclReader(parseHcl(text), path);

function faultsOf(reader: HclReader): readonly string[] {
  return reader.faults().map(({ place, message }) => `${place}: ${message}`);
}

describe('createHclReader', () => {
  it('reads every kind of setting', () => {
    const reader = readerOf('s = "x" n = 5 b = true d = "1h30m" l = ["a", "b"] k { i = 1 }');
    expect([
      reader.string('s'),
      reader.number('n'),
      reader.boolean('b'),
      reader.duration('d'),
      reader.strings('l'),
    ]).toEqual(['x', 5, true, 5_400_000, ['a', 'b']]);
    expect(reader.block('k').number('i')).toBe(1);
    expect(() => reader.finish()).not.toThrow();
  });

  it('takes a number in quotes, a number for a text, and a boolean in quotes, as HCL1 does', () => {
    const reader = readerOf('port = "8081" name = 42 on = "true" off = "false"');
    expect([reader.number('port'), reader.string('name'), reader.boolean('on'), reader.boolean('off')]).toEqual([
      8081,
      '42',
      true,
      false,
    ]);
    expect(reader.faults()).toEqual([]);
  });

  it('gives undefined for an absent optional setting, and no fault', () => {
    const reader = readerOf('');
    expect([
      reader.optionalString('a'),
      reader.optionalNumber('b'),
      reader.optionalBoolean('c'),
      reader.optionalDuration('d'),
      reader.optionalStrings('e'),
      reader.optionalBlock('f'),
      reader.parsed('g', Number),
    ]).toEqual(Array(7).fill(undefined));
    expect([reader.strings('h'), reader.blocks('i'), reader.labelledBlocks('j'), reader.object('k')]).toEqual([
      [],
      [],
      [],
      {},
    ]);
    expect(reader.faults()).toEqual([]);
  });

  it.each<[string, (reader: HclReader) => unknown, string]>([
    ['', (r) => r.string('a'), 'a: is missing'],
    ['', (r) => r.number('a'), 'a: is missing'],
    ['', (r) => r.boolean('a'), 'a: is missing'],
    ['', (r) => r.duration('a'), 'a: is missing'],
    ['', (r) => r.block('a'), 'a: is missing'],
    ['a = true', (r) => r.string('a'), 'a: must be a string, is true'],
    ['a = ["x"]', (r) => r.string('a'), 'a: must be a string, is a list or a block'],
    ['a {}', (r) => r.optionalString('a'), 'a: must be a string, is a list or a block'],
    ['a = 1.5', (r) => r.number('a'), 'a: must be a whole number, is 1.5'],
    ['a = "1.5"', (r) => r.number('a'), 'a: must be a whole number, is "1.5"'],
    ['a = ""', (r) => r.number('a'), 'a: must be a whole number, is ""'],
    ['a = "0x10"', (r) => r.number('a'), 'a: must be a whole number, is "0x10"'],
    ['a = "99999999999999999999"', (r) => r.number('a'), 'a: must be a whole number, is "99999999999999999999"'],
    ['a = true', (r) => r.number('a'), 'a: must be a whole number, is true'],
    ['a = "yes"', (r) => r.boolean('a'), 'a: must be true or false, is "yes"'],
    ['a = 1', (r) => r.boolean('a'), 'a: must be true or false, is 1'],
    ['a = ""', (r) => r.boolean('a'), 'a: must be true or false, is ""'],
    ['a = 5', (r) => r.duration('a'), 'a: must be a duration such as "1h30m", is 5'],
    ['a = "5"', (r) => r.duration('a'), 'a: missing unit in duration "5"'],
    ['a = "1d"', (r) => r.duration('a'), 'a: unknown unit "d" in duration "1d"'],
    ['a = "x"', (r) => r.strings('a'), 'a: must be a list of strings, is "x"'],
    ['a = ["x", true]', (r) => r.strings('a'), 'a: must be a string, is true'],
    ['a {}', (r) => r.strings('a'), 'a: must be a string, is a block'],
    ['a = 1', (r) => r.block('a'), 'a: must be a block'],
    ['a = ["x"]', (r) => r.blocks('a'), 'a: must be a block'],
    ['a {} a {}', (r) => r.block('a'), 'a: must stand once'],
    ['a {} a {}', (r) => r.object('a'), 'a: must stand once'],
    ['a { b = 1 }', (r) => r.labelledBlocks('a'), 'a "b": must be a block'],
    [
      'a = "x"',
      (r) =>
        r.parsed('a', () => {
          throw new Error('is odd');
        }),
      'a: is odd: "x"',
    ],
    ['a = 1 b = 2', (r) => r.number('a'), 'b: unknown key'],
    ['toString = 1', () => undefined, 'toString: unknown key'],
  ])('reports for %j', (text, read, fault) => {
    const reader = readerOf(text);
    read(reader);
    expect(faultsOf(reader)).toEqual([fault]);
  });

  it('does not find what every JavaScript object has', () => {
    const reader = readerOf('');
    expect([reader.has('toString'), reader.optionalString('constructor')]).toEqual([false, undefined]);
  });

  it('reads labelled blocks in their order, each with its place', () => {
    const plugins = readerOf('N "a" { x = 1 } N "b" { y = 2 } N "a" {}', 'plugins').labelledBlocks('N');
    expect(plugins.map(({ label, reader }) => [label, reader.path, reader.unusedKeys()])).toEqual([
      ['a', 'plugins.N "a"', ['x']],
      ['b', 'plugins.N "b"', ['y']],
      ['a', 'plugins.N "a"', []],
    ]);
  });

  it('hands a block on as it is, without looking at its keys', () => {
    const reader = readerOf('plugin_data { any { thing = 1 } }');
    expect(reader.object('plugin_data')).toEqual({ any: [{ thing: 1 }] });
    expect(reader.faults()).toEqual([]);
  });

  it('throws all faults together, those of blocks included', () => {
    const reader = readerOf('server { port = "x" typo = 1 } extra {}');
    const server = reader.block('server');
    server.number('port');
    server.string('trust_domain');
    server.fault('port', 'is taken');
    expect(() => reader.finish()).toThrow(
      new ConfigError([
        { place: 'extra', message: 'unknown key' },
        { place: 'server.port', message: 'must be a whole number, is "x"' },
        { place: 'server.trust_domain', message: 'is missing' },
        { place: 'server.port', message: 'is taken' },
        { place: 'server.typo', message: 'unknown key' },
      ]),
    );
  });
});
