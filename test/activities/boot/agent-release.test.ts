// A new agent on a machine that runs: put there, refused by its own health, taken back, and still there after a boot with the old user data.
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { agentRelease, applyRelease, leaveRelease } from '../../../activities/boot/agent-release.ts';
import { nodeBootScript } from '../../../activities/boot/node.ts';
import { node } from './boots.ts';
import { createMachine } from './machine.ts';
import type { Machine } from './machine.ts';

const made = agentRelease(node);
const next = agentRelease({ ...node, serverAddress: '127.77.2.3' });
const third = agentRelease({ ...node, serverAddress: '127.77.2.4' });
const sick = agentRelease({ ...node, serverAddress: 'nowhere.example.org' });
const released = (digest: string): string => `espalier: the agent has release ${digest}\n`;

let machine: Machine;
beforeEach(() => {
  machine = createMachine();
});
afterEach(() => machine.remove());
const configuration = () => machine.read('etc/spire/agent/agent.conf');

it.each([
  ['apply', applyRelease(next)],
  ['leave', leaveRelease(next.digest)],
  ['the release itself', next.script],
])('%s is POSIX sh', (_, script) => {
  const { status, stderr } = spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
});

it('has a digest of what nodes run, whatever their names', () => {
  expect(agentRelease({ ...node, trustDomain: 'example.org' }).digest).toBe(made.digest);
  expect(new Set([made, next, sick].map(({ digest }) => digest)).size).toBe(3);
});

it('goes onto a machine that runs, which restarts its agent and says what it has', () => {
  machine.boot(nodeBootScript(node));
  const before = machine.calls('systemctl').length;
  const { status, said } = machine.run(applyRelease(next));
  expect([status, said.endsWith(released(next.digest))]).toEqual([0, true]);
  expect(configuration()).toContain('server_address = "127.77.2.3"');
  expect(machine.calls('systemctl').slice(before)).toEqual([
    ['daemon-reload'],
    ['enable', 'spire-agent'],
    ['restart', 'spire-agent'],
  ]);
});

it('stays through a boot with the user data that the machine was made with', () => {
  machine.boot(nodeBootScript(node));
  machine.run(applyRelease(next));
  machine.boot(nodeBootScript(node));
  expect(configuration()).toContain('server_address = "127.77.2.3"');
});

it('makes another unit, so that a changed configuration is a restart', () => {
  machine.boot(nodeBootScript(node));
  const unit = machine.read('etc/systemd/system/spire-agent.service');
  machine.run(applyRelease(next));
  expect(machine.read('etc/systemd/system/spire-agent.service')).not.toBe(unit);
});

it('comes back by itself where the new one is not healthy', () => {
  machine.boot(nodeBootScript(node));
  const { status, said } = machine.run(applyRelease(sick));
  expect(status).toBe(1);
  expect(said).toContain('the agent is not healthy with the new release');
  expect(said).toContain('the agent is back with the release before');
  expect(configuration()).toContain('server_address = "127.77.2.2"');
  machine.boot(nodeBootScript(node));
  expect(configuration()).toContain('server_address = "127.77.2.2"');
});

it('put there twice is there once', () => {
  machine.boot(nodeBootScript(node));
  machine.run(applyRelease(next));
  const { status, said } = machine.run(applyRelease(next));
  expect([status, said.endsWith(released(next.digest))]).toEqual([0, true]);
  expect(machine.run(leaveRelease(next.digest)).said).toContain(released(made.digest));
});

it('is taken back to what was before, once', () => {
  machine.boot(nodeBootScript(node));
  machine.run(applyRelease(next));
  const { status, said } = machine.run(leaveRelease(next.digest));
  expect([status, said.endsWith(released(made.digest))]).toEqual([0, true]);
  expect(configuration()).toContain('server_address = "127.77.2.2"');
  expect(machine.run(leaveRelease(next.digest))).toEqual({ status: 0, said: released(made.digest) });
});

it('is left alone where the machine has another release by now', () => {
  machine.boot(nodeBootScript(node));
  machine.run(applyRelease(next));
  machine.run(applyRelease(third));
  expect(machine.run(leaveRelease(next.digest))).toEqual({ status: 0, said: released(third.digest) });
  expect(configuration()).toContain('server_address = "127.77.2.4"');
});

it('cannot be taken back where nothing was before it', () => {
  machine.boot(nodeBootScript(node));
  expect(machine.run(leaveRelease(made.digest))).toEqual({
    status: 1,
    said: 'espalier: there is no release before this one\n',
  });
});
