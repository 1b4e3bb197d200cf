// Log lines, whole, in both formats.
import { mkdtempSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pino } from 'pino';
import { createLog, describeError, logControlOf, parseLogFormat, parseLogLevel } from '../../runtime/log.ts';
import { sourceLocation } from '../../runtime/log-source.ts';
import type { LogFormat, LogLevel, Logger } from '../../runtime/log.ts';

function linesOf(format: LogFormat, level: LogLevel, act: (log: Logger) => void): readonly string[] {
  const lines: string[] = [];
  act(createLog({ level, format, write: (line) => lines.push(line), clock: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678) }));
  return lines;
}

describe('text lines', () => {
  it.each<[string, (log: Logger) => void, string]>([
    ['a message', (log) => log.info('Starting server APIs'), 'level=info msg="Starting server APIs"'],
    ['one word', (log) => log.info('Ready'), 'level=info msg=Ready'],
    ['a warning', (log) => log.warn('x'), 'level=warning msg=x'],
    ['an error', (log) => log.error('x'), 'level=error msg=x'],
    [
      'fields, sorted',
      (log) => log.info({ b: 1, a: 'two words', c: true }, 'x'),
      'level=info msg=x a="two words" b=1 c=true',
    ],
    ['an ID', (log) => log.info({ spiffe_id: 'spiffe://td/a' }, 'x'), 'level=info msg=x spiffe_id="spiffe://td/a"'],
    ['bound fields', (log) => log.child({ subsystem_name: 'api' }).info('x'), 'level=info msg=x subsystem_name=api'],
    ['a list', (log) => log.info({ a: ['b'] }, 'x'), 'level=info msg=x a="[\\"b\\"]"'],
    ['an empty text', (log) => log.info({ a: '' }, 'x'), 'level=info msg=x a=""'],
    [
      'an error and its causes',
      (log) => log.error({ err: new Error('outer', { cause: new Error('inner') }), a: 1 }, 'Failed'),
      'level=error msg=Failed a=1 error="outer: inner"',
    ],
    [
      'no second line',
      (log) => log.info({ a: 'x\nlevel=error' }, 'a\nb'),
      'level=info msg="a\\nb" a="x\\nlevel=error"',
    ],
    ['quotes', (log) => log.info({ a: '"' }, 'x'), 'level=info msg=x a="\\""'],
  ])('show %s', (_what, act, line) => {
    expect(linesOf('text', 'debug', act)).toEqual([`time="2026-01-02T03:04:05Z" ${line}\n`]);
  });
});

describe('JSON lines', () => {
  it('hold the same', () => {
    const lines = linesOf('json', 'info', (log) => log.warn({ err: new Error('no'), a: 1 }, 'Failed'));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      { level: 'warning', time: '2026-01-02T03:04:05Z', msg: 'Failed', a: 1, error: 'no' },
    ]);
  });
});

describe('createLog', () => {
  it.each<[LogLevel, number]>([
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
  ])('writes from %s up', (level, count) => {
    const lines = linesOf('text', level, (log) => {
      log.debug('a');
      log.info('b');
      log.warn('c');
      log.error('d');
    });
    expect(lines).toHaveLength(count);
  });

  it('appends to a file that others may not read', () => {
    const directory = mkdtempSync(join(tmpdir(), 'log-'));
    try {
      const file = join(directory, 'server.log');
      createLog({ level: 'info', format: 'text', file }).info('one');
      createLog({ level: 'info', format: 'text', file }).info('two');
      expect(readFileSync(file, 'utf8').match(/msg=\w+/g)).toEqual(['msg=one', 'msg=two']);
      expect(statSync(file).mode & 0o007).toBe(0);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('refuses a file that cannot be opened', () => {
    expect(() => createLog({ level: 'info', format: 'text', file: '/nonexistent/server.log' })).toThrow(/ENOENT/);
  });
});

describe('parsed settings', () => {
  it.each([
    ['DEBUG', 'debug'],
    ['info', 'info'],
    ['Warn', 'warn'],
    ['WARNING', 'warn'],
    ['error', 'error'],
    ['verbose', undefined],
    ['', undefined],
    [' info', undefined],
  ])('take the level %j for %j', (text, level) => {
    expect(parseLogLevel(text)).toBe(level);
  });

  it.each([
    ['text', 'text'],
    ['JSON', 'json'],
    ['xml', undefined],
    ['', undefined],
  ])('take the format %j for %j', (text, format) => {
    expect(parseLogFormat(text)).toBe(format);
  });
});

describe('describeError', () => {
  it.each<[string, unknown, string]>([
    ['text', 'plain', 'plain'],
    ['an error without a message', new TypeError(), 'TypeError'],
    ['several errors', new AggregateError([new Error('a'), new Error('b')]), 'a; b'],
    ['a cause that is text', new Error('a', { cause: 'b' }), 'a: b'],
  ])('describes %s', (_what, error, text) => {
    expect(describeError(error)).toBe(text);
  });

  it('ends with a cause that is its own', () => {
    const error = new Error('a');
    error.cause = error;
    expect(describeError(error).length).toBeLessThan(50);
  });
});

describe('the control of a log', () => {
  const open = (level: LogLevel) => {
    const lines: string[] = [];
    const log = createLog({ level, format: 'text', write: (line) => lines.push(line) });
    return { log, control: logControlOf(log), lines };
  };

  it('changes the level of the log and of the children that it has and will have', () => {
    const { log, control, lines } = open('warn');
    const child = log.child({ a: 1 });
    const grandchild = child.child({ b: 2 });
    control.setLevel('debug');
    for (const one of [log, child, grandchild, grandchild.child({})]) one.debug('heard');
    expect(lines).toHaveLength(4);
    control.setLevel('error');
    for (const one of [log, child, grandchild]) one.warn('not heard');
    expect(lines).toHaveLength(4);
    expect([control.level(), control.launchLevel]).toEqual(['error', 'warn']);
  });

  it('is the same for a child', () => {
    const { log, control } = open('info');
    expect(logControlOf(log.child({}))).toBe(control);
  });

  it.each(['panic', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const)('knows the level %s', (level) => {
    const { log, control, lines } = open('info');
    control.setLevel(level);
    const acts = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
    for (const act of acts) log[act]('x');
    expect(lines).toHaveLength(['panic', ...acts].indexOf(level));
  });

  it('still reaches all after thousands of children came and went', () => {
    const { log, control, lines } = open('info');
    const first = log.child({ first: true });
    for (let made = 0; made < 5_000; made += 1) log.child({ made });
    control.setLevel('debug');
    first.debug('heard');
    expect(lines).toHaveLength(1);
  });

  it('opens the file anew, so that a rotated one is left alone', () => {
    const directory = mkdtempSync(join(tmpdir(), 'log-'));
    const file = join(directory, 'server.log');
    const log = createLog({ level: 'info', format: 'text', file });
    log.info('one');
    renameSync(file, `${file}.1`);
    log.info('two');
    logControlOf(log).reopen();
    log.info('three');
    expect(readFileSync(`${file}.1`, 'utf8')).toMatch(/msg=one\n.*msg=two\n$/);
    expect(readFileSync(file, 'utf8')).toMatch(/^[^\n]*msg=three\n$/);
    rmSync(directory, { recursive: true });
    expect(() => logControlOf(log).reopen()).toThrow(/ENOENT/);
    expect(() => log.info('four')).not.toThrow();
  });

  it('is not there for a logger from elsewhere', () => {
    expect(() => logControlOf(pino({ level: 'silent' }))).toThrow('this logger has no control');
  });
});

describe('the source location', () => {
  it('is that of the caller', () => {
    const lines: string[] = [];
    const write = (line: string) => lines.push(line);
    const log = createLog({ level: 'info', format: 'text', write, sourceLocation: true, clock: () => 0 });
    const tellFromHere = () => log.child({ a: 1 }).info('x');
    tellFromHere();
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^time="1970-01-01T00:00:00Z" level=info msg=x func=tellFromHere file="log\.test\.ts:\d+" a=1\n$/,
    );
  });

  it.each([
    ['    at start (file:///srv/runtime/server/server.ts:12:3)', { file: 'server.ts:12', func: 'start' }],
    ['    at async Store.read (/srv/store.ts:1:2)', { file: 'store.ts:1', func: 'Store.read' }],
    ['    at new Pool (/srv/pool.ts:7:2)', { file: 'pool.ts:7', func: 'Pool' }],
    ['    at file:///srv/main.ts:3:1', { file: 'main.ts:3' }],
    ['    at node:internal/timers:1:2', undefined],
    ['    at mixin (file:///srv/runtime/log.ts:12:3)\n    at run (/srv/run.ts:9:1)', { file: 'run.ts:9', func: 'run' }],
    ['    at asJson (/srv/node_modules/pino/lib/tools.js:1:1)', undefined],
  ])('of %j', (stack, expected) => {
    expect(sourceLocation(`Error\n${stack}`)).toEqual(expected);
  });
});
