// The workload attestor "unix" on this test's own process and on programs that it starts.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, linkSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { processStartTime } from '../../../../runtime/attest/workload/process.ts';
import { createUnixAttestor } from '../../../../runtime/attest/workload/unix.ts';
import type { UnixAttestorOptions } from '../../../../runtime/attest/workload/unix.ts';

const uid = process.geteuid?.() ?? 0;
const gid = process.getegid?.() ?? 0;
let directory: string;
const children: ChildProcess[] = [];

beforeAll(() => {
  directory = realpathSync(mkdtempSync(join(tmpdir(), 'unix-')));
  writeFileSync(
    join(directory, 'passwd'),
    `other:x:4242:4242::/:/bin/sh\nalice:x:${uid}:${gid}::/:/bin/sh\nalias:x:${uid}:${gid}::/:/bin/sh\n`,
  );
  writeFileSync(join(directory, 'group'), `\nbroken\nstaff:x:${gid}:alice\n`);
  copyFileSync('/bin/sleep', join(directory, 'program'));
  linkSync(join(directory, 'program'), join(directory, 'second name'));
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill();
});
afterAll(() => rmSync(directory, { recursive: true }));

function attest(pid: number, options: Partial<UnixAttestorOptions> = {}) {
  const attestor = createUnixAttestor({
    discoverWorkloadPath: false,
    workloadSizeLimit: 0,
    passwdFile: join(directory, 'passwd'),
    groupFile: join(directory, 'group'),
    ...options,
  });
  return attestor
    .attest(pid, AbortSignal.timeout(10_000))
    .then((selectors) => selectors.map(({ type, value }) => `${type}:${value}`));
}

async function start(name: string): Promise<number> {
  const child = spawn(join(directory, name), ['60'], { stdio: 'ignore' });
  children.push(child);
  await new Promise((resolve) => child.once('spawn', resolve));
  return child.pid!;
}

describe('the owner', () => {
  it('is told by id and by the first name for it', async () => {
    const selectors = await attest(process.pid);
    expect(selectors.slice(0, 4)).toEqual([
      `unix:uid:${uid}`,
      'unix:user:alice',
      `unix:gid:${gid}`,
      'unix:group:staff',
    ]);
  });

  it('has the supplementary groups of the process', async () => {
    const selectors = await attest(process.pid);
    const status = readFileSync('/proc/self/status', 'utf8');
    const groups = (/^Groups:(.*)$/m.exec(status)?.[1] ?? '').split(/\s+/).filter((group) => group !== '');
    expect(selectors.filter((selector) => selector.startsWith('unix:supplementary_gid:'))).toEqual(
      groups.map((group) => `unix:supplementary_gid:${group}`),
    );
  });

  it('has no names where there are no files with names', async () => {
    const none = join(directory, 'none');
    const selectors = await attest(process.pid, { passwdFile: none, groupFile: none });
    expect(selectors.slice(0, 2)).toEqual([`unix:uid:${uid}`, `unix:gid:${gid}`]);
  });
});

describe('the program', () => {
  it('is not looked at unless that is asked for', async () => {
    const selectors = await attest(process.pid);
    expect(selectors.filter((selector) => /^unix:(path|sha256):/.test(selector))).toEqual([]);
  });

  it('has path and digest', async () => {
    const pid = await start('program');
    const digest = createHash('sha256').update(readFileSync('/bin/sleep')).digest('hex');
    const selectors = await attest(pid, { discoverWorkloadPath: true });
    expect(selectors.slice(-2)).toEqual([`unix:path:${join(directory, 'program')}`, `unix:sha256:${digest}`]);
  });

  it('is known by the link through which it was started', async () => {
    const pid = await start('second name');
    expect(await attest(pid, { discoverWorkloadPath: true })).toContain(`unix:path:${join(directory, 'second name')}`);
  });

  it('has no digest with a size limit below 0', async () => {
    const selectors = await attest(process.pid, { discoverWorkloadPath: true, workloadSizeLimit: -1 });
    expect(selectors.at(-1)).toBe(`unix:path:${realpathSync(process.execPath)}`);
  });

  it('that exceeds the size limit fails', async () => {
    const pid = await start('program');
    await expect(attest(pid, { discoverWorkloadPath: true, workloadSizeLimit: 10 })).rejects.toMatchObject({
      code: 'DIGEST',
      message: expect.stringContaining('exceeds the size limit') as string,
    });
  });
});

describe('a process', () => {
  it('that does not exist fails', async () => {
    await expect(attest(2 ** 22 + 1)).rejects.toMatchObject({ code: 'PROCESS' });
  });

  it('has a start time that later processes do not share', async () => {
    expect(await processStartTime(process.pid)).toBe(await processStartTime(process.pid));
    expect(Number(await processStartTime(await start('program')))).toBeGreaterThan(
      Number(await processStartTime(process.pid)),
    );
  });

  it('may have parentheses and blanks in its name', async () => {
    copyFileSync('/bin/sleep', join(directory, 'a) R 1 (b'));
    expect(await processStartTime(await start('a) R 1 (b'))).toMatch(/^\d{2,}$/);
  });
});
