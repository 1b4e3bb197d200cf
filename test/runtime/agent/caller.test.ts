// Who calls the Workload API: the refusals around a pid.
import { describe, expect, it } from 'vitest';
import type { WorkloadAttestor } from '../../../runtime/attest/workload/attestor.ts';
import { createCallers } from '../../../runtime/agent/workload-api/caller.ts';
import { createLog } from '../../../runtime/log.ts';
import type { CallContext } from '../../../runtime/rpc/call-context.ts';
import type { Connection } from '../../../runtime/rpc/connection.ts';
import { readStartTime } from '../../../runtime/rpc/process-start.ts';
import { statusCode } from '../../../runtime/rpc/status.ts';

const log = createLog({ level: 'error', format: 'text', write: () => undefined });
const me = {
  transport: 'unix',
  pid: process.pid,
  uid: process.geteuid?.() ?? 0,
  gid: process.getegid?.() ?? 0,
  startTime: readStartTime(process.pid)!,
} as const;
const good: WorkloadAttestor = { type: 'good', attest: () => Promise.resolve([{ type: 'good', value: 'yes' }]) };
const bad: WorkloadAttestor = { type: 'bad', attest: () => Promise.reject(new Error('cannot say')) };

const { signal } = new AbortController();

function attest(connection: Connection, attestors: WorkloadAttestor[] = [good]) {
  return createCallers({ attestors, log }).attest({ connection, signal } as CallContext);
}

describe('a caller', () => {
  it('is what the attestors say', async () => {
    expect(await attest({ ...me })).toEqual([{ type: 'good', value: 'yes' }]);
  });

  it('is still known when some attestors fail', async () => {
    expect(await attest({ ...me }, [bad, good])).toEqual([{ type: 'good', value: 'yes' }]);
  });

  it('is still known when an attestor hangs', async () => {
    const warned: unknown[] = [];
    const log = createLog({ level: 'warn', format: 'json', write: (line) => warned.push(JSON.parse(line)) });
    const hanging: WorkloadAttestor = { type: 'hanging', attest: () => new Promise(() => undefined) };
    const callers = createCallers({ attestors: [hanging, good], log, timeLimitMs: 20 });
    expect(await callers.attestProcess(process.pid)).toEqual([{ type: 'good', value: 'yes' }]);
    expect(warned).toEqual([expect.objectContaining({ plugin: 'hanging', pid: process.pid })]);
  });

  it('ends the work of an attestor whose time is over', async () => {
    const ended: unknown[] = [];
    const heeding: WorkloadAttestor = {
      type: 'heeding',
      attest: (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            ended.push((signal.reason as Error).message);
            reject(signal.reason as Error);
          });
        }),
    };
    const callers = createCallers({ attestors: [heeding], log, timeLimitMs: 20 });
    await expect(callers.attestProcess(process.pid)).rejects.toMatchObject(refused);
    expect(ended).toEqual(['attestor took longer than 20 ms']);
  });

  const refused = { code: statusCode.UNAVAILABLE, message: 'workload attestation failed' };

  it('is refused when all attestors fail', async () => {
    await expect(attest({ ...me }, [bad])).rejects.toMatchObject(refused);
  });

  it('is refused over TCP', async () => {
    await expect(attest({ transport: 'tcp', address: '127.0.0.1:1', peerChain: [] })).rejects.toMatchObject(refused);
  });

  it('is refused when it is of a pid namespace that we do not see', async () => {
    await expect(attest({ ...me, pid: 0 })).rejects.toMatchObject(refused);
  });

  it('is refused when the process is gone', async () => {
    await expect(attest({ ...me, pid: 2 ** 22 + 1 })).rejects.toMatchObject(refused);
  });

  it('is refused when the process belongs to another user than the one that connected', async () => {
    await expect(attest({ ...me, uid: me.uid + 1 })).rejects.toMatchObject(refused);
  });

  it('is refused when the process has another group than the one that connected', async () => {
    await expect(attest({ ...me, gid: me.gid + 1 })).rejects.toMatchObject(refused);
  });

  it('is refused when the process had ended before its connection was accepted', async () => {
    const { startTime, ...gone } = me;
    expect(startTime).toMatch(/^\d+$/);
    await expect(attest(gone)).rejects.toMatchObject(refused);
  });

  it('is refused at its first call when its pid went to another process of the same user before it', async () => {
    await expect(attest({ ...me, startTime: `${Number(me.startTime) - 1}` })).rejects.toMatchObject(refused);
  });

  it('is refused when its pid goes to another process during attestation', async () => {
    const connection = { ...me };
    const slow: WorkloadAttestor = {
      type: 'slow',
      attest(_, signal) {
        connection.pid = process.ppid; // as if this pid had got another start time
        return good.attest(me.pid, signal);
      },
    };
    await expect(attest(connection, [slow])).rejects.toMatchObject(refused);
  });
});
