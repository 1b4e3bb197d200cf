// Log lines, whole, in both formats.
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createLog, describeError, parseLogFormat, parseLogLevel } from '../../runtime/log.ts';
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
