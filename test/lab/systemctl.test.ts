// The stand-in systemctl inside an instance, by what a boot script sees of it: its whole console is compared.
import { RunInstancesCommand, GetConsoleOutputCommand } from '@aws-sdk/client-ec2';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { UnitFileError, loadUnit, splitWords } from '../../lab/instance/unit-file.ts';
import { awsClients, startTestLab, until } from './support.ts';
import type { TestLab } from './support.ts';

const directory = mkdtempSync(join(tmpdir(), 'unit-'));
let cloud: TestLab;
beforeAll(async () => {
  cloud = await startTestLab();
});
afterAll(async () => {
  await cloud.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Runs a script as an instance's user data; its console from the first line of its own on. */
async function boot(script: string): Promise<string> {
  const { ec2 } = awsClients(cloud);
  const { Instances } = await ec2.send(
    new RunInstancesCommand({
      ImageId: 'ami-0077000000000077e',
      MinCount: 1,
      MaxCount: 1,
      UserData: Buffer.from(script).toString('base64'),
    }),
  );
  const InstanceId = Instances?.[0]?.InstanceId;
  return until('the end of the boot script', async () => {
    const { Output } = await ec2.send(new GetConsoleOutputCommand({ InstanceId }));
    const console = Buffer.from(Output ?? '', 'base64').toString();
    return console.includes('boot script ended') ? console.slice(console.indexOf('\n') + 1) : undefined;
  });
}

const unit = (name: string, lines: string) => `mkdir -p "$ESPALIER_ROOT/etc/systemd/system"
cat > "$ESPALIER_ROOT/etc/systemd/system/${name}.service" <<END
${lines}
END
`;

describe('systemctl', () => {
  test('starts, keeps, replaces and stops a unit', async () => {
    const console = await boot(`${unit('sleeper', '[Service]\nExecStart=/bin/sleep 999')}
pid() { systemctl status "$1" | sed -n 's/.*Main PID: //p'; }
systemctl daemon-reload
systemctl is-active sleeper || echo "not yet: $?"
systemctl start sleeper
first=$(pid sleeper)
systemctl restart sleeper
[ "$(pid sleeper)" = "$first" ] && echo 'restarted unchanged: the same process'
${unit('sleeper', '[Service]\nExecStart=/bin/sleep 998')}
systemctl restart sleeper
[ "$(pid sleeper)" != "$first" ] && echo 'restarted changed: another process'
systemctl stop sleeper
systemctl is-active sleeper || echo "stopped: $?"
systemctl start nothing || echo "no such unit: $?"
systemctl mask sleeper || echo "no such command: $?"
`);
    expect(console).toBe(`inactive
not yet: 3
restarted unchanged: the same process
restarted changed: another process
inactive
stopped: 3
Unit nothing.service could not be found.
no such unit: 5
systemctl (Espalier lab's stand-in): unknown command mask
no such command: 1
lab: boot script ended with code 0
`);
  });

  test('takes options before and after the command', async () => {
    const console = await boot(`${unit('sleeper', '[Service]\nExecStart=/bin/sleep 999')}
systemctl enable --now sleeper
systemctl --no-pager is-active sleeper
systemctl --now disable sleeper
systemctl is-active sleeper -q || echo "stopped: $?"
systemctl start --force sleeper || echo "no such option: $?"
`);
    expect(console).toBe(`active
inactive
stopped: 3
systemctl (Espalier lab's stand-in): unknown option --force
no such option: 1
lab: boot script ended with code 0
`);
  });

  test('gives a unit up that ends too often, as systemd does, unless the unit has no limit', async () => {
    const flapping = '[Service]\nExecStart=/bin/false\nRestart=always\nRestartSec=10ms';
    const console =
      await boot(`${unit('limited', flapping)}${unit('unlimited', `[Unit]\nStartLimitIntervalSec=0\n${flapping}`)}
systemctl start limited unlimited
until systemctl is-active limited | grep -q failed; do sleep 0.1; done
until [ "$(grep -c 'ended with code 1' "$ESPALIER_ROOT/var/log/unlimited.log")" -gt 5 ]; do sleep 0.1; done
systemctl is-active limited
systemctl is-active unlimited | sed 's/^active$/activating/'
grep -c 'ended with code 1' "$ESPALIER_ROOT/var/log/limited.log"
`);
    expect(console).toBe('failed\nactivating\n5\nlab: boot script ended with code 0\n');
  });
});

describe('unit files', () => {
  test('are split into words by quotes and backslashes', () => {
    expect(splitWords(`/bin/run "two words" 'a "b"' plain\\ word --x="y z"`)).toEqual([
      '/bin/run',
      'two words',
      'a "b"',
      'plain word',
      '--x=y z',
    ]);
  });

  test('take the environment from the machine, then the unit, then its files', () => {
    const file = join(directory, 'a.service');
    writeFileSync(join(directory, 'env'), '# comment\nB=file\nQUOTED="with space"\n');
    writeFileSync(
      file,
      `[Service]\nEnvironment="A=unit one" B=unit\nEnvironmentFile=${directory}/env\nEnvironmentFile=-/none\nExecStart=/bin/echo \${A} $B\nUser=root\n`,
    );
    const loaded = loadUnit(file, { A: 'machine', C: 'machine' });
    expect(loaded.environment).toEqual({ A: 'unit one', B: 'file', C: 'machine', QUOTED: 'with space' });
    expect(loaded.command).toEqual(['/bin/echo', 'unit one', '$B']);
    expect(loaded.unknown).toEqual(['Service.User']);
  });

  test.each([
    ['no program', '[Service]\nRestart=no\n'],
    ['a type that is not run here', '[Service]\nType=forking\nExecStart=/bin/true\n'],
    ['an environment file that is missing', '[Service]\nEnvironmentFile=/none\nExecStart=/bin/true\n'],
    ['a time span that is none', '[Service]\nRestartSec=soon\nExecStart=/bin/true\n'],
    ['quotes without end', '[Service]\nExecStart=/bin/echo "a\n'],
    ['a line that is no setting', '[Service]\nExecStart\n'],
  ])('are refused with %s', (_what, text) => {
    const file = join(directory, 'bad.service');
    writeFileSync(file, text);
    expect(() => loadUnit(file, {})).toThrow(UnitFileError);
  });
});
