// What the kernel says of a peer whose process ends, and whose pid then goes to another process. The connection itself lives on: a child has it.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { createCallers } from '../../../runtime/agent/workload-api/caller.ts';
import { createLog } from '../../../runtime/log.ts';
import type { CallContext } from '../../../runtime/rpc/call-context.ts';
import type { UnixConnection } from '../../../runtime/rpc/connection.ts';
import { peerCredentials } from '../../../runtime/rpc/peer-credentials.ts';
import { readStartTime } from '../../../runtime/rpc/process-start.ts';
import { listenOnUnixSocket } from '../../../runtime/rpc/unix-listener.ts';
import { socketPath } from './echo-service.ts';

const lastPid = '/proc/sys/kernel/ns_last_pid';

/** Connects, leaves the connection to a child that outlives it, and waits for a line on its input. */
const connector = (path: string): string => `
  const socket = require('node:net').connect(${JSON.stringify(path)}, () => {
    require('node:child_process').spawn('sleep', ['30'], { stdio: ['ignore', 'ignore', 'ignore', socket] }).unref();
    process.stdout.write('connected');
  });
  process.stdin.once('data', () => process.exit(0));`;

function startConnector(path: string): ChildProcess {
  const child = spawn(process.execPath, ['-e', connector(path)], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill());
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin!.write('\n');
  await once(child, 'exit');
}

/** A process with that pid, or undefined where others were quicker too often. */
async function takePid(pid: number): Promise<ChildProcess | undefined> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    writeFileSync(lastPid, String(pid - 1));
    const child = spawn('sleep', ['30'], { stdio: 'ignore' });
    if (child.pid === pid) return child;
    child.kill();
    await once(child, 'exit');
  }
  return undefined;
}

function mayChoosePids(): boolean {
  try {
    accessSync(lastPid, constants.W_OK);
    return process.getuid?.() === 0;
  } catch {
    return false;
  }
}

test.runIf(mayChoosePids())(
  'a process that gets the pid of the one that connected, before the first call, is refused',
  { timeout: 30_000 },
  async () => {
    const path = await socketPath();
    const accepted: UnixConnection[] = [];
    const log = undefined;
    const server = await listenOnUnixSocket({ path, mode: 0o700, log, accept: (_, peer) => accepted.push(peer) });
    onTestFinished(() => void server.close());
    const child = startConnector(path);
    await once(child.stdout!, 'data');
    await expect.poll(() => accepted.length).toBe(1);
    const [connection] = accepted;
    expect(connection).toMatchObject({ pid: child.pid, startTime: readStartTime(child.pid!) });

    const lines: string[] = [];
    const good = { type: 'good', attest: () => Promise.resolve([{ type: 'good', value: 'yes' }]) };
    const callers = createCallers({
      attestors: [good],
      log: createLog({ level: 'error', format: 'text', write: (line) => lines.push(line) }),
    });
    const { signal } = new AbortController();
    const context = { connection, signal } as CallContext;

    await end(child);
    const thief = await takePid(child.pid!);
    expect(thief, 'no process got the pid').toBeDefined();
    onTestFinished(() => void thief!.kill());
    await expect(callers.attest(context)).rejects.toThrow('workload attestation failed');
    // A connection of the thief's own is good; this one is not, and would be if only pid, user and group counted.
    const own = { ...connection, startTime: readStartTime(thief!.pid!)! };
    expect(await callers.attest({ connection: own, signal } as CallContext)).toEqual([{ type: 'good', value: 'yes' }]);
    expect(lines.join('')).toContain(`process ${child.pid} is not the one that connected: it started later`);
  },
);

test('a process that ends before its connection is accepted has no start time, even where its pid has one', async () => {
  const path = await socketPath();
  const waiting: Socket[] = [];
  const server = createServer((socket) => waiting.push(socket));
  server.listen(path);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const child = startConnector(path);
  await once(child.stdout!, 'data');
  await expect.poll(() => waiting.length).toBe(1);
  expect(peerCredentials(waiting[0]!)).toMatchObject({ pid: child.pid, startTime: readStartTime(child.pid!) });
  await end(child);
  // As if another process had the pid by the time that somebody looks.
  const late = peerCredentials(waiting[0]!, () => '4242');
  expect(late).toEqual({ pid: child.pid, uid: process.getuid?.(), gid: process.getgid?.() });
  waiting[0]!.destroy();
});
