// Instances from the outside: a boot script that starts a unit, and what becomes of it when things are killed, terminated or started again.
// The lab runs as a process of its own here, because what is tested is its end.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  DescribeInstancesCommand,
  EC2Client,
  GetConsoleOutputCommand,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { LabDescription } from '../../lab/lab.ts';
import { instanceDirectory, processesOf, until } from './support.ts';

const directory = mkdtempSync(join(tmpdir(), 'lab-'));
const bootScript = `#!/bin/sh
set -eu
cat > "$ESPALIER_ROOT/environment" <<END
GREETING="hello world"
END
mkdir -p "$ESPALIER_ROOT/etc/systemd/system"
cat > "$ESPALIER_ROOT/etc/systemd/system/ticker.service" <<END
[Unit]
Description=writes what it was given, then waits
StartLimitIntervalSec=0
[Service]
Environment="NAME=ticker of $ESPALIER_ROOT" OTHER=plain
EnvironmentFile=$ESPALIER_ROOT/environment
ExecStart=/bin/sh -c 'echo "\\$GREETING from \\$NAME"; exec sleep 4242'
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable ticker
systemctl restart ticker
systemctl restart ticker
systemctl is-active ticker
echo "boot is done"
`;

let lab: ChildProcess;
let id = '';

async function startLabProcess(): Promise<void> {
  lab = spawn(process.execPath, [resolve('lab/main.ts'), '--state', directory, '--network', '95'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await until('lab.json', () => (description()?.pid === lab.pid ? true : undefined));
}

function description(): LabDescription | undefined {
  const file = join(directory, 'lab.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as LabDescription) : undefined;
}

function ec2(): EC2Client {
  const { endpoint, aws } = description()!;
  return new EC2Client({ region: 'us-east-1', endpoint, credentials: aws.credentials });
}

async function endLab(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  const ended = once(lab, 'exit');
  lab.kill(signal);
  await ended;
}

const ticker = () => processesOf(directory, 1).find(({ command }) => command === 'sleep 4242');
const unitLog = () => readFileSync(join(instanceDirectory(directory, 1), 'root/var/log/ticker.log'), 'utf8');

async function stateOf(client: EC2Client): Promise<string | undefined> {
  const { Reservations } = await client.send(new DescribeInstancesCommand({ InstanceIds: [id] }));
  return Reservations?.[0]?.Instances?.[0]?.State?.Name;
}

beforeAll(async () => {
  await startLabProcess();
  const { aws } = description()!;
  const { Instances } = await ec2().send(
    new RunInstancesCommand({
      ImageId: aws.imageId,
      MinCount: 1,
      MaxCount: 1,
      InstanceType: 't3.small',
      UserData: Buffer.from(bootScript).toString('base64'),
    }),
  );
  id = Instances?.[0]?.InstanceId ?? '';
});

afterAll(async () => {
  if (lab.exitCode === null && lab.signalCode === null) await endLab('SIGTERM');
  rmSync(directory, { recursive: true, force: true });
});

describe('an instance', () => {
  test('runs its boot script, whose output is its console', async () => {
    const output = await until('the end of the boot script', async () => {
      const { Output } = await ec2().send(new GetConsoleOutputCommand({ InstanceId: id }));
      const text = Buffer.from(Output ?? '', 'base64').toString();
      return text.includes('boot script ended') ? text : undefined;
    });
    expect(output.replace(/127\.\d+\.1\.1/, 'ADDRESS')).toBe(
      'lab: booting at ADDRESS\nactive\nboot is done\nlab: boot script ended with code 0\n',
    );
    expect(await stateOf(ec2())).toBe('running');
  });

  test('runs its unit with the environment that the unit names, started once although restarted twice', async () => {
    await until('the unit', ticker);
    expect(unitLog()).toBe(`hello world from ticker of ${instanceDirectory(directory, 1)}/root\n`);
  });

  test('starts a unit again when its process is killed', async () => {
    const before = ticker()!;
    process.kill(before.pid, 'SIGKILL');
    const after = await until('the next process', () => {
      const now = ticker();
      return now?.pid === before.pid ? undefined : now;
    });
    expect(after.pid).not.toBe(before.pid);
    expect(unitLog()).toContain('ticker: ended by SIGKILL');
  });

  test('goes on running while the lab is killed, and the next lab finds it', async () => {
    const before = ticker()!;
    await endLab('SIGKILL');
    expect(ticker()?.pid).toBe(before.pid);
    await startLabProcess();
    await until('running', async () => ((await stateOf(ec2())) === 'running' ? true : undefined));
    expect(ticker()?.pid).toBe(before.pid);
  });

  test('has no process and no socket directory left after the lab was told to end, and boots again with the next', async () => {
    const run = JSON.parse(readFileSync(join(instanceDirectory(directory, 1), 'machine.json'), 'utf8')) as {
      run: string;
    };
    await endLab('SIGTERM');
    expect(processesOf(directory, 1)).toEqual([]);
    expect(existsSync(run.run)).toBe(false);
    expect(description()).toBeUndefined();
    await startLabProcess();
    await until('the unit', ticker);
    expect(await stateOf(ec2())).toBe('running');
  });

  test('boots again when everything of it is killed', async () => {
    await until('the boot script', () =>
      readFileSync(join(instanceDirectory(directory, 1), 'console.log'), 'utf8').match(/boot script ended/g)?.length ===
      2
        ? true
        : undefined,
    );
    await endLab('SIGKILL');
    for (const { pid } of processesOf(directory, 1)) process.kill(pid, 'SIGKILL');
    await startLabProcess();
    await until('the unit', ticker);
  });

  test('is gone after its termination, its console still readable', async () => {
    const client = ec2();
    await client.send(new TerminateInstancesCommand({ InstanceIds: [id] }));
    await until('terminated', async () => ((await stateOf(client)) === 'terminated' ? true : undefined));
    expect(processesOf(directory, 1)).toEqual([]);
    expect(existsSync(join(instanceDirectory(directory, 1), 'root'))).toBe(false);
    const { Output } = await client.send(new GetConsoleOutputCommand({ InstanceId: id }));
    expect(Buffer.from(Output ?? '', 'base64').toString()).toContain('boot is done');
  });
});
