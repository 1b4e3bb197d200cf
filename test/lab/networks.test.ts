// Several labs on one machine: each finds a network, and a lab that has instances finds its own again or says why not.
import { RunInstancesCommand } from '@aws-sdk/client-ec2';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { firstNetwork, homeNetwork, lastNetwork, networksFrom } from '../../lab/addresses.ts';
import { startLab } from '../../lab/lab.ts';
import { awsClients } from './support.ts';

const firstToTry = 110;

function stateDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'networks-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function start(directory: string) {
  const lab = await startLab({
    stateDirectory: directory,
    port: 0,
    network: firstToTry,
    clock: Date.now,
    log: () => undefined,
  });
  let closed: Promise<void> | undefined;
  const close = () => (closed ??= lab.close());
  onTestFinished(close);
  const network = Number(/^http:\/\/127\.(\d+)\.0\.1:/.exec(lab.description.endpoint)?.[1]);
  return { lab, network, close };
}

test('labs on different directories begin at different networks, each always at the same', () => {
  const homes = Array.from({ length: 32 }, (_, i) => homeNetwork(`/home/user/clone-${i}/.espalier/lab`));
  expect(homes).toEqual(Array.from({ length: 32 }, (_, i) => homeNetwork(`/home/user/clone-${i}/.espalier/lab`)));
  expect(new Set(homes).size).toBeGreaterThan(20);
  expect(homes.every((network) => network >= firstNetwork && network <= lastNetwork)).toBe(true);
});

test('every network is tried once, from the first to try on', () => {
  expect(networksFrom(lastNetwork).slice(0, 3)).toEqual([lastNetwork, firstNetwork, firstNetwork + 1]);
  expect(new Set(networksFrom(80)).size).toBe(lastNetwork - firstNetwork + 1);
});

test('a second lab takes the next network, and a lab without instances may move', async () => {
  const directory = stateDirectory();
  const first = await start(directory);
  const second = await start(stateDirectory());
  expect(second.network).not.toBe(first.network);
  await first.close();
  const third = await start(stateDirectory());
  expect(third.network).toBe(first.network);
  expect((await start(directory)).network).not.toBe(first.network);
});

test('a lab with instances whose network another lab has taken says so, and moves nowhere', async () => {
  const directory = stateDirectory();
  const first = await start(directory);
  const run = new RunInstancesCommand({ ImageId: 'ami-0077000000000077e', MinCount: 1, MaxCount: 1 });
  await awsClients(first).ec2.send(run);
  await first.close();
  const second = await start(stateDirectory());
  expect(second.network).toBe(first.network);
  await expect(start(directory)).rejects.toThrow(
    `127.${first.network}.0.1:1337 is in use, probably by another lab, and this lab's instances have addresses of 127.${first.network}.0.0/16`,
  );
  await second.close();
  expect((await start(directory)).network).toBe(first.network);
});
