// HCL1's JSON form: the same values as in HCL, and what is refused.
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HclError, parseHcl } from '../../../runtime/hcl/parse.ts';

function refusalOf(text: string): string {
  try {
    parseHcl(text, 'server.json');
  } catch (error) {
    if (error instanceof HclError) return error.message;
    throw error;
  }
  return 'not refused';
}

describe('JSON reads as the HCL beside it', () => {
  test.each([
    ['{}', ''],
    [' \n{"a": 1, "b": -2.5, "c": true, "d": false, "e": "x"}', 'a = 1\nb = -2.5\nc = true\nd = false\ne = "x"'],
    ['{"a": {}}', 'a {}'],
    [
      '{"server": {"trust_domain": "x", "ca_subject": {"country": ["US"]}}}',
      'server { trust_domain = "x" ca_subject { country = ["US"] } }',
    ],
    [
      '{"plugins": {"NodeAttestor": {"x": {"plugin_data": {"a": 1}}}}}',
      'plugins { NodeAttestor "x" { plugin_data { a = 1 } } }',
    ],
    [
      '{"plugins": {"NodeAttestor": [{"x": {}}, {"y": {"enabled": false}}]}}',
      'plugins { NodeAttestor "x" {} NodeAttestor "y" { enabled = false } }',
    ],
    ['{"a": {"b": 1}, "a": {"c": 2}}', 'a { b = 1 } a { c = 2 }'],
    ['{"a": ["x", ["y"], {"z": 1}]}', 'a = ["x", ["y"], { z = 1 }]'],
    ['{"a": "\\u00e9\\n\\"\\\\\\/"}', 'a = "é\\n\\"\\\\/"'],
    ['{"__proto__": {"a": 1}}', '"__proto__" { a = 1 }'],
    ['{"a": 1e3}', 'a = 1e3'],
  ])('%s', (json, hcl) => {
    expect(parseHcl(json)).toEqual(parseHcl(hcl));
  });

  test('whatever the text in it', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.boolean(), fc.integer(), fc.array(fc.string()))),
        (value) => {
          expect(parseHcl(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)));
        },
      ),
    );
  });
});

describe('refused is', () => {
  test.each([
    ['{', '1:2: expected a key in double quotes'],
    ['{"a"}', '1:5: expected : after "a"'],
    ['{"a": }', '1:7: expected a value'],
    ['{"a": 1,}', '1:9: expected a key in double quotes'],
    ['{"a": 1 "b": 2}', '1:9: expected , or } in an object'],
    ['{"a": [1 2]}', '1:10: expected , or ] in a list'],
    ['{"a": [1,]}', '1:10: expected a value'],
    ['{a: 1}', '1:2: expected a key in double quotes'],
    ["{'a': 1}", '1:2: expected a key in double quotes'],
    ['{"a": null}', '1:7: null says nothing: leave the key out'],
    ['{"a": nil}', '1:7: expected a value'],
    ['{"a": 01}', '1:7: expected a value'],
    ['{"a": 5m}', '1:7: expected a value'],
    ['{"a": 9007199254740993}', '1:7: number 9007199254740993 is out of range'],
    ['{"a": 1e999}', '1:7: number 1e999 is out of range'],
    ['{"a": "x\ny"}', '1:7: expected a value'],
    ['{"a": "\\x41"}', '1:7: expected a value'],
    ['{"a": 1}\n{"b": 2}', '2:1: expected the end of the file'],
    ['{"a": 1} # no comment', '1:10: expected the end of the file'],
    ['{"a": 1, "b": 2, "a": 3}', '1:18: "a" is set twice'],
    ['{"a": {}, "a": 3}', '1:11: "a" is set twice'],
    ['{"a": 3, "a": {}}', '1:10: "a" is set twice'],
    [`{"a": ${'['.repeat(70)}`, '1:71: nested deeper than 64 levels'],
    ['{"a": '.repeat(70), '1:391: nested deeper than 64 levels'],
  ])('%s', (text, message) => {
    expect(refusalOf(text)).toBe(`server.json:${message}`);
  });

  test('nothing but with an HclError', () => {
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom(
            '{',
            '}',
            '[',
            ']',
            '"',
            ':',
            ',',
            'a',
            '1',
            '-',
            '.',
            'e',
            ' ',
            '\n',
            '\\',
            'true',
            'null',
          ),
        }),
        (text) => {
          expect(refusalOf(`{${text}`)).toEqual(expect.any(String));
        },
      ),
    );
  });
});
