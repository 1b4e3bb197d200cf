// One `up` at a time: a living holder keeps others out, a dead one does not, whoever has its pid now.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { takeLock } from '../../../workers/up/lock.ts';
import { openStateDirectory } from '../../../workers/up/state-directory.ts';
import type { StateDirectory } from '../../../workers/up/state-directory.ts';

let state: StateDirectory;
let child: ChildProcess | undefined;
beforeEach(() => {
  state = openStateDirectory(mkdtempSync(join(tmpdir(), 'espalier-lock-')));
});
afterEach(() => {
  child?.kill('SIGKILL');
  child = undefined;
  for (const directory of [state.root, state.run]) rmSync(directory, { recursive: true, force: true });
});

const lockFile = (): string => state.path('up.lock');
/** Another process that lives until the test ends. */
function other(): number {
  child = spawn('sleep', ['60'], { stdio: 'ignore' });
  return child.pid!;
}
const startTimeOf = (pid: number): string =>
  readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')[19]!;

describe('takeLock', () => {
  it('names this process by its pid and when it started', () => {
    takeLock(state);
    expect(readFileSync(lockFile(), 'utf8')).toBe(`${process.pid} ${startTimeOf(process.pid)}`);
  });

  it('is refused while another process holds it', () => {
    const pid = other();
    writeFileSync(lockFile(), `${pid} ${startTimeOf(pid)}`);
    expect(() => takeLock(state)).toThrow(`espalier is running already (pid ${pid})`);
  });

  it('leaves a lock alone that it was refused', () => {
    const pid = other();
    writeFileSync(lockFile(), `${pid} ${startTimeOf(pid)}`);
    expect(() => takeLock(state)).toThrow();
    expect(readFileSync(lockFile(), 'utf8')).toBe(`${pid} ${startTimeOf(pid)}`);
  });

  it('is taken over from one that was killed', async () => {
    const pid = other();
    writeFileSync(lockFile(), `${pid} ${startTimeOf(pid)}`);
    const gone = new Promise((resolve) => child?.once('exit', resolve));
    child?.kill('SIGKILL');
    await gone;
    takeLock(state);
    expect(readFileSync(lockFile(), 'utf8')).toContain(`${process.pid} `);
  });

  it('is taken over where another process has the pid of the dead one', () => {
    const pid = other();
    writeFileSync(lockFile(), `${pid} ${Number(startTimeOf(pid)) - 1}`);
    takeLock(state);
    expect(readFileSync(lockFile(), 'utf8')).toContain(`${process.pid} `);
  });

  it.each(['', 'x', '12', '-1 7', '99999999999 1'])('is taken over where the file says %j', (text) => {
    writeFileSync(lockFile(), text);
    takeLock(state);
    expect(readFileSync(lockFile(), 'utf8')).toContain(`${process.pid} `);
  });

  it('is gone when it is released, and can be released twice', () => {
    const release = takeLock(state);
    release();
    expect(existsSync(lockFile())).toBe(false);
    release();
  });
});
