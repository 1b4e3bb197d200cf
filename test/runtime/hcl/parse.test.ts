// HCL1 text to values. The accepted forms and their values are those of hashicorp/hcl 1.0.0.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HclError, parseHcl } from '../../../runtime/hcl/parse.ts';

const serverConf = `# the server
server {
    bind_address = "127.0.0.1"
    bind_port = "8081"
    trust_domain = "example.org" // no scheme
    ca_subject {
        country = ["US"],
        organization = ["SPIFFE"],
        common_name = "",
    }
    experimental { cache_reload_interval = "5s" feature_flags = [] }
}

/* plugins, in
   any order */
plugins {
    NodeAttestor "join_token" { plugin_data {} }
    NodeAttestor "x509pop" {
        plugin_data { ca_bundle_path = "./conf/ca.pem" }
    }
    KeyManager "memory" { plugin_data = {} }
}
health_checks { listener_enabled = true }
`;

describe('parseHcl', () => {
  it('reads a server configuration', () => {
    expect(parseHcl(serverConf)).toEqual({
      server: [
        {
          bind_address: '127.0.0.1',
          bind_port: '8081',
          trust_domain: 'example.org',
          ca_subject: [{ country: ['US'], organization: ['SPIFFE'], common_name: '' }],
          experimental: [{ cache_reload_interval: '5s', feature_flags: [] }],
        },
      ],
      plugins: [
        {
          NodeAttestor: [
            { join_token: [{ plugin_data: [{}] }] },
            { x509pop: [{ plugin_data: [{ ca_bundle_path: './conf/ca.pem' }] }] },
          ],
          KeyManager: [{ memory: [{ plugin_data: [{}] }] }],
        },
      ],
      health_checks: [{ listener_enabled: true }],
    });
  });

  it.each<[string, unknown]>([
    ['', {}],
    ['# nothing', {}],
    ['a = 1 b = 2', { a: 1, b: 2 }],
    ['a = 1, b = 2,', { a: 1, b: 2 }],
    ['a\n=\n1', { a: 1 }],
    ['"quoted key" = true', { 'quoted key': true }],
    ['a-b.c_1 = false', { 'a-b.c_1': false }],
    ['größe = 1', { größe: 1 }],
    ['a = 0x1F', { a: 31 }],
    ['a = 017', { a: 15 }],
    ['a = -2', { a: -2 }],
    ['a = 1.5', { a: 1.5 }],
    ['a = 1e3', { a: 1000 }],
    ['a = "1"', { a: '1' }],
    ['a = []', { a: [] }],
    ['a = ["x", 1, true, [2], { b = 3 }]', { a: ['x', 1, true, [2], { b: 3 }] }],
    ['a = ["x",\n # why\n "y",\n]', { a: ['x', 'y'] }],
    ['a {}', { a: [{}] }],
    ['a = {}', { a: [{}] }],
    ['a {} a { b = 1 }', { a: [{}, { b: 1 }] }],
    ['a "b" "c" { d = 1 }', { a: [{ b: [{ c: [{ d: 1 }] }] }] }],
    ['a b { c = 1 }', { a: [{ b: [{ c: 1 }] }] }],
    ['a = 1\r\nb = 2\r\n', { a: 1, b: 2 }],
    ['a = 1 // x\n/**/ b = 2 /* y */ # z', { a: 1, b: 2 }],
  ])('reads %j', (text, value) => {
    expect(parseHcl(text)).toEqual(value);
  });

  it.each([
    [String.raw`"a\tb\n\"\\"`, 'a\tb\n"\\'],
    [String.raw`"\u00e9\x41\101\U0001F4A5"`, 'éAA💥'],
    [String.raw`"C:\\x"`, 'C:\\x'],
    ['"a ${env "x\\y"} b"', 'a ${env "x\\y"} b'],
    ['"${a{b}\nc}"', '${a{b}\nc}'],
    ['"$ {x} $"', '$ {x} $'],
    ['"# no // comment /*"', '# no // comment /*'],
    ['<<EOF\none\n  two\nEOF\n', 'one\n  two\n'],
    ['<<EOF\nEOF\n', ''],
    ['<<EOF\none\nEOFX\nEOF', 'one\nEOFX\n'],
    ['<<-EOF\n    one\n      two\n    EOF\n', 'one\n  two\n'],
    ['<<-EOF\n  one\n two\n  EOF\n', '  one\n two\n'],
    ['<<EOF\n"${x}" \\n\nEOF\n', '"${x}" \\n\n'],
  ])('reads the string %j', (literal, value) => {
    expect(parseHcl(`a = ${literal}`)).toEqual({ a: value });
  });

  it('takes __proto__ for a key like any other', () => {
    const object = parseHcl('__proto__ { admin = true }');
    expect(Object.keys(object)).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined();
  });

  it.each([
    ['a', '1:2: expected { or = after a, got the end of the file'],
    ['a =', '1:4: expected a value, got the end of the file'],
    ['a = b', '1:5: expected a value, got identifier "b" (text needs quotes)'],
    ['a = }', '1:5: expected a value, got }'],
    ['a = = 1', '1:5: expected a value, got ='],
    ['= 1', '1:1: expected a key, got ='],
    ['1 = 2', '1:1: expected a key, got number 1'],
    ['true = 2', '1:1: expected a key, got boolean true'],
    ['a = 1 }', '1:7: expected a key, got }'],
    ['a {\n  b = 1\n', '3:1: expected a key, got the end of the file'],
    ['a { b }', '1:7: expected { or = after b, got }'],
    ['a "b" = 1', '1:7: expected { after a b, got ='],
    ['a "b" = {}', '1:7: expected { after a b, got ='],
    ['a : 1', '1:3: unexpected character ":"'],
    ['a = 1; b = 2', '1:6: unexpected character ";"'],
    ["a = 'x'", '1:5: unexpected character "\'"'],
    ['a = -', '1:5: unexpected character "-"'],
    ['a = 💥', '1:5: unexpected character "💥"'],
    ['a = \0', '1:5: unexpected character "\\u0000"'],
    ['a = 5m', '1:5: number is followed by other characters (a duration or an address needs quotes)'],
    ['a = 127.0.0.1', '1:5: number is followed by other characters (a duration or an address needs quotes)'],
    ['a = 0x', '1:5: number is followed by other characters (a duration or an address needs quotes)'],
    ['a = 089', '1:5: illegal octal number 089'],
    ['a = 9007199254740993', '1:5: number 9007199254740993 is out of range'],
    ['a = 1e999', '1:5: number 1e999 is out of range'],
    ['a = [1 2]', '1:8: expected , or ] in a list, got number 2'],
    ['a = [1,,2]', '1:8: expected a value, got ,'],
    ['a = [', '1:6: expected a value, got the end of the file'],
    ['a = [1', '1:7: expected , or ] in a list, got the end of the file'],
    ['a = [x = 1]', '1:6: expected a value, got identifier "x" (text needs quotes)'],
    ['a = "x', '1:5: string is not terminated'],
    ['a = "x\ny"', '1:5: string is not terminated'],
    ['a = "${x"', '1:5: string is not terminated'],
    ['a = "x\\', '1:7: unknown escape in string'],
    [String.raw`a = "\d"`, '1:6: unknown escape in string'],
    [String.raw`a = "\x4"`, '1:6: unknown escape in string'],
    [String.raw`a = "\xff"`, '1:6: escape \\xff is not a character'],
    [String.raw`a = "\ud800"`, '1:6: escape \\ud800 is not a character'],
    [String.raw`a = "\U00110000"`, '1:6: escape \\U00110000 is not a character'],
    ['a = "\0"', '1:6: string has a null character'],
    ['# é\nb = "é" c', '2:10: expected { or = after c, got the end of the file'],
    ['a = <EOF\nEOF', '1:5: here-document needs << and a mark, alone on the line'],
    ['a = <<\nx', '1:5: here-document needs << and a mark, alone on the line'],
    ['a = <<EOF x\nEOF', '1:5: here-document needs << and a mark, alone on the line'],
    ['a = <<EOF\nx\n', '1:5: here-document is not terminated: no line "EOF"'],
    ['/* x', '1:1: comment is not terminated'],
    ['a = 1\n/ x', '2:1: unexpected character "/"'],
    ['a = 1\na = 2', '2:1: "a" is set twice'],
    ['a = 1\na {}', '2:1: "a" is set twice'],
    ['a {}\na = 1', '2:1: "a" is set twice'],
    ['a = []\na {}', '2:1: "a" is set twice'],
    ['x {\n  a = 1\n  "a" = 2\n}', '3:3: "a" is set twice'],
  ])('refuses %j', (text, message) => {
    expect(() => parseHcl(text, 'server.conf')).toThrow(
      expect.objectContaining({ code: 'HCL_SYNTAX', message: `server.conf:${message}` }),
    );
  });

  it.each(['a { '.repeat(100_000), `a = ${'['.repeat(100_000)}`, `${'a '.repeat(100_000)}{}`])(
    'refuses what would exhaust the stack: %.12s',
    (text) => {
      expect(() => parseHcl(text)).toThrow(/nested deeper than 64 levels/);
    },
  );

  it('reads or refuses any text', () => {
    const unit = fc.oneof(
      fc.constantFrom('{', '}', '[', ']', '=', ',', '"', '\\', '\n', ' ', '#', '/*', '*/', '<<-E\n', '<<E\n', '\nE\n'),
      fc.constantFrom('a', 'true', '1', '0x', '.', '-', '${', '$', '\0', 'é', '\u{1F4A5}', 'b = "c" ', 'd { '),
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 30 }), (text) => {
        try {
          parseHcl(text);
        } catch (error) {
          if (!(error instanceof HclError)) throw error;
        }
      }),
      { numRuns: 3000 },
    );
  });

  it('reads back any string that is quoted', () => {
    const text = fc.string({ unit: 'grapheme' }).filter((s) => !s.includes('${') && !s.includes('\0'));
    fc.assert(
      fc.property(text, (value) => {
        const quoted = value.replace(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
        expect(parseHcl(`a = "${quoted}"`)).toEqual({ a: value });
      }),
    );
  });
});
