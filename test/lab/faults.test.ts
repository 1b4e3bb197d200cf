// Programs that the lab takes down on purpose: nothing on the instance brings them back until the fault is lifted.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RunInstancesCommand } from '@aws-sdk/client-ec2';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLabFaults } from '../../activities/clients/lab-faults.ts';
import { awsClients, startTestLab, until } from './support.ts';
import type { TestLab } from './support.ts';

let cloud: TestLab;
let root: string;

interface Machine {
  readonly root: string;
}

/** Says each second that it is there, by a line of its log, and is started again at once when it ends. */
const script = `mkdir -p "$ESPALIER_ROOT/etc/systemd/system"
cat > "$ESPALIER_ROOT/etc/systemd/system/beating.service" <<END
[Unit]
StartLimitIntervalSec=0
[Service]
ExecStart=/bin/sh -c 'trap "echo goodbye; exit 0" TERM; while :; do echo beat; sleep 0.1; done'
Restart=always
RestartSec=100ms
END
systemctl daemon-reload
systemctl enable --now beating
`;

beforeAll(async () => {
  cloud = await startTestLab();
  const UserData = Buffer.from(script).toString('base64');
  const image = { ImageId: 'ami-0077000000000077e', MinCount: 1, MaxCount: 1 };
  const name = { ResourceType: 'instance' as const, Tags: [{ Key: 'Name', Value: 'beater' }] };
  await awsClients(cloud).ec2.send(new RunInstancesCommand({ ...image, UserData, TagSpecifications: [name] }));
  const [machine] = (await (await ask('GET', '/lab/machines')).json()) as Machine[];
  root = machine!.root;
  await until('the program', () => Promise.resolve(beats() > 0 ? true : undefined));
});
afterAll(() => cloud.close());

const owner = (): string => cloud.lab.description.gcp.accessToken;

function ask(method: string, path: string, body?: object, token = owner()) {
  return fetch(`${cloud.lab.description.endpoint}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const bring = (state: string, { unit = 'beating', instance = 'beater', token = owner() } = {}) =>
  ask('POST', '/faults/programs', { instance, unit, state }, token);
const faults = async (): Promise<unknown> =>
  ((await (await ask('GET', '/faults')).json()) as { programs: unknown }).programs;
const log = (): string => {
  try {
    return readFileSync(`${root}/var/log/beating.log`, 'utf8');
  } catch {
    return ''; // it has not been started yet
  }
};
const beats = (): number =>
  log()
    .split('\n')
    .filter((line) => line === 'beat').length;

/** It runs, or will in a moment. */
async function beating(): Promise<void> {
  const before = beats();
  await until('a beat', () => (beats() > before ? true : undefined));
}

async function silent(): Promise<void> {
  const before = beats();
  await sleep(700);
  expect(beats()).toBe(before);
}

/** The log says it, or will in a moment. */
const noted = (words: string) => until(words, () => (log().includes(words) ? true : undefined));

describe('a fault of a program', () => {
  test('kills it, and keeps what would start it again from doing so', async () => {
    await beating();
    expect((await bring('killed')).status).toBe(200);
    await silent();
    expect(log()).not.toContain('goodbye');
    expect(log()).toContain('ended by SIGKILL');
    await noted('held down by a fault of the lab');
    expect(await faults()).toEqual([{ instance: 'beater', unit: 'beating', state: 'killed' }]); // prettier-ignore
  });

  test('is made twice without harm, and lifted by what lets the program run', async () => {
    expect((await bring('killed')).status).toBe(200);
    expect((await bring('running')).status).toBe(200);
    await beating();
    expect(await faults()).toEqual([]);
    expect((await bring('running')).status).toBe(200);
    await beating();
  });

  test('stops it with a goodbye, where that is asked for', async () => {
    expect((await bring('stopped')).status).toBe(200);
    await silent();
    expect(log()).toContain('goodbye');
    expect((await bring('running')).status).toBe(200);
    await beating();
  });

  test('is refused for what is not there, and to whoever does not own the lab', async () => {
    const unknown = await bring('killed', { unit: 'nothing' });
    expect([unknown.status, await unknown.text()]).toEqual([
      409,
      expect.stringContaining('Unit nothing.service not loaded'),
    ]);
    expect((await bring('killed', { instance: 'nobody' })).status).toBe(404);
    expect((await bring('killed', { unit: '../../etc' })).status).toBe(400);
    expect((await bring('on fire')).status).toBe(400);
    expect((await bring('killed', { token: 'ya29.nobody' })).status).toBe(401);
    expect(await faults()).toEqual([]);
    await beating();
  });

  test('is made, told of and lifted by what drills ask with; links are refused where there are none', async () => {
    const { endpoint, isolation } = cloud.lab.description;
    const faults = createLabFaults({ endpoint, isolation, token: owner() });
    const fault = { kind: 'program', instance: 'beater', unit: 'beating' } as const;
    await faults.ensure(fault);
    await silent();
    expect(await faults.check(['program'])).toEqual([
      'programs: {"instance":"beater","unit":"beating","state":"killed"}',
    ]);
    await faults.remove(fault);
    expect(await faults.check(['program'])).toEqual([]);
    await beating();
    await expect(faults.check(['link'])).rejects.toMatchObject({
      type: 'Unsupported',
      message: expect.stringContaining('--isolation namespaces') as string,
    });
    await expect(faults.ensure({ kind: 'link', instance: 'beater', other: 'nobody' })).rejects.toMatchObject({
      type: 'InvalidRequest',
    });
    await expect(faults.ensure({ ...fault, instance: 'nobody' })).rejects.toMatchObject({ type: 'InvalidRequest' });
    const stranger = createLabFaults({ endpoint, isolation, token: 'ya29.nobody' });
    await expect(stranger.ensure(fault)).rejects.toMatchObject({ type: 'PermissionDenied' });
    await beating();
  });
});
