// The units of deploy/systemd before systemd's own judges. Nothing is started: no systemd runs here.
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from './support/processes.ts';
import { prepareSystemdAnalyze, root } from './support/programs.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
const machine = join(stage.directory, 'machine');
const unitDirectory = join(machine, 'etc/systemd/system');
const names = ['spire-server', 'spire-agent'] as const;
let analyze: Awaited<ReturnType<typeof prepareSystemdAnalyze>>;

beforeAll(async () => {
  analyze = await prepareSystemdAnalyze();
  mkdirSync(unitDirectory, { recursive: true });
  mkdirSync(join(machine, 'opt/espalier/bin'), { recursive: true });
  // What every machine has, as far as our units name it or systemd adds it to them.
  for (const target of ['sysinit', 'basic', 'network-online', 'multi-user', 'shutdown'])
    writeFileSync(join(unitDirectory, `${target}.target`), `[Unit]\nDescription=${target}\n`);
  for (const name of names) {
    cpSync(join(root, 'deploy/systemd', `${name}.service`), join(unitDirectory, `${name}.service`));
    writeFileSync(join(machine, 'opt/espalier/bin', name), '#!/bin/sh\n');
    chmodSync(join(machine, 'opt/espalier/bin', name), 0o755);
  }
});
afterAll(() => stage.strike());

const ask = (...words: readonly string[]) => run(analyze.command, words, { env: analyze.env });

describe.each(names)('the unit %s', (name) => {
  it('is without a fault', async () => {
    const { code, stdout, stderr } = await ask('verify', `--root=${machine}`, `${name}.service`);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('is exposed little', async () => {
    const { stdout } = await ask('security', '--offline=yes', '--no-pager', join(unitDirectory, `${name}.service`));
    const exposure = /Overall exposure level for \S+: ([0-9.]+) (\w+)/.exec(stdout);
    process.stderr.write(`peers: ${name}.service: ${exposure?.[0] ?? stdout}\n`);
    // Systemd's own words: below 5 is OK, below 8 medium. What is left is root's user id, networking, and V8's writable and executable memory.
    expect(Number(exposure?.[1])).toBeLessThanOrEqual(name === 'spire-agent' ? 2.9 : 2.3);
  });
});

it('a unit with a fault is found', async () => {
  writeFileSync(
    join(unitDirectory, 'broken.service'),
    '[Service]\nExecStart=/opt/espalier/bin/none\nProtectSytem=strict\n',
  );
  const { code, stderr } = await ask('verify', `--root=${machine}`, 'broken.service');
  expect(code).not.toBe(0);
  expect(stderr).toMatch(/Unknown key .*'ProtectSytem'/);
});
