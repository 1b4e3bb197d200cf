// The units of deploy/systemd: the boot scripts install these very texts, the lab's stand-in knows every word of them, and none runs without its guards.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { serverBootScript } from '../../../activities/boot/server.ts';
import { loadUnit } from '../../../lab/instance/unit-file.ts';
import { artifact, downstream } from '../../activities/boot/boots.ts';
import { createMachine } from '../../activities/boot/machine.ts';

const root = join(import.meta.dirname, '../../..');
const names = ['spire-server', 'spire-agent'] as const;
const unitOf = (name: string): string => readFileSync(join(root, 'deploy/systemd', `${name}.service`), 'utf8');
const settings = (text: string): string[] => text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
const valuesOf = (name: string, key: string): string[] =>
  settings(unitOf(name)).flatMap((line) => (line.startsWith(`${key}=`) ? [line.slice(key.length + 1)] : []));

describe.each(names)('the unit %s', (name) => {
  const machine = createMachine();
  afterAll(() => machine.remove());

  it('is what a boot script installs, but for the paths of the lab and the version of its configuration', () => {
    machine.boot(serverBootScript(downstream));
    const installed = machine
      .read(`etc/systemd/system/${name}.service`)
      .replaceAll(`${machine.root}/opt/espalier/${artifact.sha256}/`, '/opt/espalier/current/')
      .replaceAll(`${machine.root}/image/`, '/')
      .replaceAll(machine.root, '')
      .replace(/, configuration [0-9a-f]{8}$/m, '');
    expect(settings(installed)).toEqual(settings(unitOf(name)));
  });
});

describe.each(names)('in the unit %s', (name) => {
  const directory = mkdtempSync(join(tmpdir(), 'unit-'));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it('the lab’s stand-in for systemd knows every setting', () => {
    const file = join(directory, `${name}.service`);
    writeFileSync(file, unitOf(name).replace(/^EnvironmentFile=/m, 'EnvironmentFile=-'));
    expect(loadUnit(file, {})).toMatchObject({ unknown: [], restart: 'always', startLimit: { interval: 0 } });
  });

  it.each([
    ['NoNewPrivileges', 'yes'],
    ['ProtectSystem', 'strict'],
    ['PrivateTmp', 'yes'],
    ['PrivateDevices', 'yes'],
    ['RestrictNamespaces', 'yes'],
    ['RestrictSUIDSGID', 'yes'],
    ['SystemCallFilter', '@system-service'],
    ['UMask', '0077'],
    ['StateDirectoryMode', '0700'],
    ['StartLimitIntervalSec', '0'],
  ])('%s is %s', (key, value) => {
    expect(valuesOf(name, key)).toEqual([value]);
  });

  it('root has no rights but those that are told', () => {
    const needed = name === 'spire-agent' ? 'CAP_SYS_PTRACE CAP_DAC_READ_SEARCH' : '';
    expect(valuesOf(name, 'CapabilityBoundingSet')).toEqual([needed]);
  });
});
