// Command line flags. Messages and usage text are those of Go's flag package.
import { describe, expect, expectTypeOf, it } from 'vitest';
import { FlagError, formatUsage, parseFlags } from '../../../runtime/cli/flags.ts';

const spec = {
  config: { kind: 'string', default: 'conf/server.conf', help: 'Path to the configuration' },
  token: { kind: 'string', help: 'A token' },
  port: { kind: 'number', help: 'A port' },
  ttl: { kind: 'duration', default: 300_000, help: 'A lifetime' },
  selector: { kind: 'list', help: 'A selector' },
  expandEnv: { kind: 'boolean', help: 'Expand variables' },
  shared: { kind: 'boolean', default: true, help: 'Share' },
  mood: {
    kind: 'value',
    default: 'calm',
    help: 'A mood',
    read: (text: string, previous: string | undefined) => {
      if (previous !== undefined && previous !== text) throw new Error(`already ${previous}`);
      return text.toLowerCase();
    },
  },
} as const;

const parse = (...argv: string[]) => parseFlags(argv, spec);

function refusalOf(...argv: string[]): { code: string; message: string } {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof FlagError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('was not refused');
}

describe('parseFlags', () => {
  it('fills in defaults, and says what was given', () => {
    const { values, given, rest } = parse();
    expect(values).toEqual({
      config: 'conf/server.conf',
      token: undefined,
      port: undefined,
      ttl: 300_000,
      selector: [],
      expandEnv: false,
      shared: true,
      mood: 'calm',
    });
    expect([[...given], rest]).toEqual([[], []]);
    expectTypeOf(values.config).toEqualTypeOf<string>();
    expectTypeOf(values.token).toEqualTypeOf<string | undefined>();
    expectTypeOf(values.port).toEqualTypeOf<number | undefined>();
    expectTypeOf(values.ttl).toEqualTypeOf<number>();
    expectTypeOf(values.selector).toEqualTypeOf<readonly string[]>();
    expectTypeOf(values.expandEnv).toEqualTypeOf<boolean>();
  });

  it.each<[string[], Record<string, unknown>]>([
    [['-config', 'x'], { config: 'x' }],
    [['--config', 'x'], { config: 'x' }],
    [['-config=x'], { config: 'x' }],
    [['--config=x=y'], { config: 'x=y' }],
    [['-config='], { config: '' }],
    [['-config', ''], { config: '' }],
    [['-config', '-x'], { config: '-x' }],
    [['-config', '--'], { config: '--' }],
    [['-config', 'a', '-config', 'b'], { config: 'b' }],
    [['-port', '8081'], { port: 8081 }],
    [['-port=-1'], { port: -1 }],
    [['-port', '+7'], { port: 7 }],
    [['-port', '0x1F'], { port: 31 }],
    [['-port', '-0b11'], { port: -3 }],
    [['-port', '017'], { port: 15 }],
    [['-port', '0o17'], { port: 15 }],
    [['-port', '0'], { port: 0 }],
    [['-mood', 'GLAD'], { mood: 'glad' }],
    [['-mood', 'glad', '-mood=glad'], { mood: 'glad' }],
    [['-ttl', '1h30m'], { ttl: 5_400_000 }],
    [['-ttl', '0'], { ttl: 0 }],
    [['-selector', 'a:1', '--selector=b:2'], { selector: ['a:1', 'b:2'] }],
    [['-selector', 'a:1,b:2'], { selector: ['a:1,b:2'] }],
    [['-expandEnv'], { expandEnv: true }],
    [['-expandEnv=true'], { expandEnv: true }],
    [['-shared=false'], { shared: false }],
    [['-shared=F'], { shared: false }],
    [['-expandEnv=1'], { expandEnv: true }],
  ])('reads %j', (argv, expected) => {
    const { values, given } = parse(...argv);
    expect(values).toMatchObject(expected);
    expect([...given]).toEqual(Object.keys(expected));
  });

  it.each([
    [
      ['a', '-port', '1'],
      ['a', '-port', '1'],
    ],
    [['-expandEnv', 'true'], ['true']],
    [['--', '-port'], ['-port']],
    [['-'], ['-']],
    [
      ['-port', '1', '-', '-x'],
      ['-', '-x'],
    ],
    [[''], ['']],
  ])('ends the flags of %j', (argv, rest) => {
    expect(parse(...argv).rest).toEqual(rest);
  });

  it.each([
    [['-nope'], 'UNKNOWN', 'flag provided but not defined: -nope'],
    [['--nope=1'], 'UNKNOWN', 'flag provided but not defined: -nope'],
    [['-Config', 'x'], 'UNKNOWN', 'flag provided but not defined: -Config'],
    [['-toString'], 'UNKNOWN', 'flag provided but not defined: -toString'],
    [['-__proto__', 'x'], 'UNKNOWN', 'flag provided but not defined: -__proto__'],
    [['---config', 'x'], 'SYNTAX', 'bad flag syntax: ---config'],
    [['-=x'], 'SYNTAX', 'bad flag syntax: -=x'],
    [['--=x'], 'SYNTAX', 'bad flag syntax: --=x'],
    [['-config'], 'MISSING_VALUE', 'flag needs an argument: -config'],
    [['-expandEnv', '-port'], 'MISSING_VALUE', 'flag needs an argument: -port'],
    [['-port', 'x'], 'INVALID_VALUE', 'invalid value "x" for flag -port: parse error'],
    [['-port='], 'INVALID_VALUE', 'invalid value "" for flag -port: parse error'],
    [['-port', '1.5'], 'INVALID_VALUE', 'invalid value "1.5" for flag -port: parse error'],
    [['-port', '1e3'], 'INVALID_VALUE', 'invalid value "1e3" for flag -port: parse error'],
    [
      ['-port', '9'.repeat(20)],
      'INVALID_VALUE',
      `invalid value "${'9'.repeat(20)}" for flag -port: value out of range`,
    ],
    [['-port', '08'], 'INVALID_VALUE', 'invalid value "08" for flag -port: parse error'],
    [['-ttl', '5'], 'INVALID_VALUE', 'invalid value "5" for flag -ttl: parse error'],
    [['-mood', 'a', '-mood', 'b'], 'INVALID_VALUE', 'invalid value "b" for flag -mood: already a'],
    [['-expandEnv=yes'], 'INVALID_VALUE', 'invalid boolean value "yes" for -expandEnv: parse error'],
    [['-expandEnv='], 'INVALID_VALUE', 'invalid boolean value "" for -expandEnv: parse error'],
    [['-expandEnv=tRUE'], 'INVALID_VALUE', 'invalid boolean value "tRUE" for -expandEnv: parse error'],
    [['-help'], 'HELP', 'help requested'],
    [['-h'], 'HELP', 'help requested'],
    [['--help', '-nope'], 'HELP', 'help requested'],
  ])('refuses %j', (argv, code, message) => {
    expect(refusalOf(...argv)).toEqual({ code, message });
  });
});

describe('formatUsage', () => {
  it('prints the flags by name, with what they take and their defaults', () => {
    expect(formatUsage('run', spec)).toBe(`Usage of run:
  -config string
    \tPath to the configuration (default "conf/server.conf")
  -expandEnv
    \tExpand variables
  -mood value
    \tA mood
  -port int
    \tA port
  -selector value
    \tA selector
  -shared
    \tShare (default true)
  -token string
    \tA token
  -ttl duration
    \tA lifetime (default 5m0s)
`);
  });
});
