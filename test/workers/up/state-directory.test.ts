// Where `up` keeps its things: ports stay the same over starts, and sockets have a short directory that is ours alone.
import { existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync, chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openStateDirectory } from '../../../workers/up/state-directory.ts';
import type { StateDirectory } from '../../../workers/up/state-directory.ts';

let parent: string;
let runs: string[];
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'espalier-state-'));
  runs = [];
});
afterEach(() => {
  for (const directory of [parent, ...runs]) rmSync(directory, { recursive: true, force: true });
});
function open(root = join(parent, 'state')): StateDirectory {
  const state = openStateDirectory(root);
  runs.push(state.run);
  return state;
}

async function listening(): Promise<{ readonly port: number; close(): void }> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

describe('openStateDirectory', () => {
  it('makes the directory and leaves what is in it', () => {
    writeFileSync(open().path('kept'), 'x');
    expect(existsSync(open().path('kept'))).toBe(true);
  });

  it('is where the kernel says that it is: programs below it are attested by their paths', () => {
    mkdirSync(join(parent, 'elsewhere'));
    symlinkSync('elsewhere', join(parent, 'linked'));
    expect(open(join(parent, 'linked')).path('a')).toBe(join(parent, 'elsewhere/a'));
  });

  it('has a short directory for sockets, which nobody else enters', () => {
    const { run } = open(join(parent, 'a'.repeat(90)));
    expect(lstatSync(run).mode & 0o777).toBe(0o700);
    // What is longest below it, and 107 bytes are what Linux takes.
    expect(Buffer.byteLength(join(run, 'worker/api.sock'))).toBeLessThan(80);
  });

  it('closes a directory for sockets that was left open', () => {
    const { run } = open();
    chmodSync(run, 0o777);
    open();
    expect(lstatSync(run).mode & 0o777).toBe(0o700);
  });

  it('gives each state directory its own', () => {
    expect(open(join(parent, 'a')).run).not.toBe(open(join(parent, 'b')).run);
    expect(open(join(parent, 'a')).run).toBe(open(join(parent, 'a')).run);
  });

  it.runIf(process.getuid?.() === 0)('refuses a directory for sockets that another user made', async () => {
    const { run } = open();
    const { chownSync } = await import('node:fs');
    chownSync(run, 12_345, 12_345);
    expect(() => open()).toThrow(`${run} belongs to user 12345, not to us`);
  });

  it.runIf(process.getuid?.() === 0)('refuses a link that another user put in its place', async () => {
    const { run } = open();
    const { lchownSync } = await import('node:fs');
    rmSync(run, { recursive: true });
    mkdirSync(join(parent, 'elsewhere'));
    symlinkSync(join(parent, 'elsewhere'), run);
    lchownSync(run, 12_345, 12_345);
    expect(() => open()).toThrow('belongs to user 12345');
  });
});

describe('port', () => {
  it('is the same at every start', async () => {
    const first = await open().port('temporal');
    expect(await open().port('temporal')).toBe(first);
    expect(await open().port('temporal', first + 1)).toBe(first);
  });

  it('is another for each name', async () => {
    const state = open();
    expect(await state.port('temporal')).not.toBe(await state.port('artifact'));
  });

  it('is the preferred one where that is free', async () => {
    const free = await listening();
    free.close();
    expect(await open().port('temporal', free.port)).toBe(free.port);
  });

  it('is another where the preferred one is taken', async () => {
    const taken = await listening();
    const port = await open().port('temporal', taken.port);
    taken.close();
    expect(port).not.toBe(taken.port);
    expect(port).toBeGreaterThan(1023);
  });

  it('is not guessed where the file of ports is damaged', () => {
    writeFileSync(open().path('ports.json'), '{"temporal": "x"}');
    expect(() => open()).toThrow();
  });
});
