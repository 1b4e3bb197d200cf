// The workload attestor "systemd" against a stand-in for the bus (bus-stand-in.ts): nothing here is a real systemd.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createWorkloadAttestor } from '../../../../../runtime/agent/workload-attestors.ts';
import { createSystemdAttestor } from '../../../../../runtime/attest/workload/systemd/systemd.ts';
import { parseHcl } from '../../../../../runtime/hcl/parse.ts';
import { createLog } from '../../../../../runtime/log.ts';
import { startBusStandIn } from './bus-stand-in.ts';
import type { BusCall, BusReply, BusStandIn, BusStandInOptions } from './bus-stand-in.ts';

const uid = process.geteuid?.() ?? 0;
const unitPath = '/org/freedesktop/systemd1/unit/web_2eservice';
const units: Record<string, BusReply> = {
  GetUnitByPID: { type: 'o', value: unitPath },
  Id: { type: 'v', value: 'web.service' },
  FragmentPath: { type: 'v', value: '/etc/systemd/system/web.service' },
};
const known = (call: BusCall): BusReply => units[call.member === 'Get' ? `${call.arguments[1]}` : call.member]!;
const unless = (name: string, reply: BusReply) => (call: BusCall) =>
  call.member === name || call.arguments[1] === name ? reply : known(call);

let directory: string;
let socketPath: string;
let count = 0;
let bus: BusStandIn | undefined;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), 'systemd-'))));
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(async () => {
  await bus?.close();
  bus = undefined;
});

async function attestorAt(options: Omit<BusStandInOptions, 'socketPath'>) {
  socketPath = join(directory, `bus-${(count += 1)}`);
  bus = await startBusStandIn({ socketPath, ...options });
  return createSystemdAttestor({ systemBusSocketPath: socketPath, uid });
}

async function attest(options: Omit<BusStandInOptions, 'socketPath'>, signal = AbortSignal.timeout(60_000)) {
  const attestor = await attestorAt(options);
  return attestor.attest(4242, signal);
}

describe('a process of a unit', () => {
  it('has the unit and its file as selectors', async () => {
    expect(await attest({ answer: known })).toEqual([
      { type: 'systemd', value: 'id:web.service' },
      { type: 'systemd', value: 'fragment_path:/etc/systemd/system/web.service' },
    ]);
    const unit = 'org.freedesktop.systemd1.Unit';
    expect(bus?.calls).toEqual([
      { path: '/org/freedesktop/systemd1', member: 'GetUnitByPID', arguments: [4242] },
      { path: unitPath, member: 'Get', arguments: [unit, 'Id'] },
      { path: unitPath, member: 'Get', arguments: [unit, 'FragmentPath'] },
    ]);
  });

  it('is the same from a bus with the other byte order', async () => {
    expect(await attest({ answer: known, bigEndian: true })).toHaveLength(2);
  });

  it('has an empty file where the unit has none, as in SPIRE', async () => {
    const selectors = await attest({ answer: unless('FragmentPath', { type: 'v', value: '' }) });
    expect(selectors[1]).toEqual({ type: 'systemd', value: 'fragment_path:' });
  });

  it('is asked for over one connection, however many ask', async () => {
    const attestor = await attestorAt({ answer: known });
    const signal = AbortSignal.timeout(60_000);
    await Promise.all([1, 2, 3].map((pid) => attestor.attest(pid, signal)));
    expect(await attestor.attest(4, signal)).toHaveLength(2);
    expect(bus?.connections.count).toBe(1);
  });

  it('is found again when the bus was restarted', async () => {
    const attestor = await attestorAt({ answer: known });
    await attestor.attest(1, AbortSignal.timeout(60_000));
    await bus?.close();
    await expect(attestor.attest(1, AbortSignal.timeout(60_000))).rejects.toMatchObject({ code: 'BUS' });
    bus = await startBusStandIn({ socketPath, answer: known });
    expect(await attestor.attest(1, AbortSignal.timeout(60_000))).toHaveLength(2);
  });
});

const sizeOf = (bytes: number): Buffer => {
  const header = Buffer.alloc(16);
  header.write('l\x02\x00\x01', 'latin1');
  header.writeUInt32LE(bytes, 4);
  return header;
};

describe('there are no selectors', () => {
  it('without a bus', async () => {
    const path = join(directory, 'none');
    const attestor = createSystemdAttestor({ systemBusSocketPath: path, uid });
    await expect(attestor.attest(1, AbortSignal.timeout(60_000))).rejects.toMatchObject({
      code: 'BUS',
      message: `bus at ${path} is not there`,
    });
  });

  it('from a bus that does not let our user in', async () => {
    const failed = attest({ answer: known, uid: uid + 1 });
    await expect(failed).rejects.toMatchObject({
      code: 'BUS',
      message: `bus at ${socketPath} sent what is no message`,
    });
  });

  it('for a process that belongs to no unit', async () => {
    const error = {
      error: 'org.freedesktop.systemd1.NoUnitForPID',
      text: 'PID 4242 does not belong to any loaded unit.',
    };
    await expect(attest({ answer: unless('GetUnitByPID', error) })).rejects.toMatchObject({
      code: 'BUS_REFUSAL',
      message: `GetUnitByPID: ${error.error}: ${error.text}`,
    });
  });

  it('where a property cannot be read', async () => {
    const error = { error: 'org.freedesktop.DBus.Error.AccessDenied', text: 'no' };
    await expect(attest({ answer: unless('FragmentPath', error) })).rejects.toMatchObject({
      code: 'BUS_REFUSAL',
      message: `Get: ${error.error}: no`,
    });
  });

  it.each(['GetUnitByPID', 'FragmentPath'])('when %s is not answered in time', async (name) => {
    const limit = new AbortController();
    const answer = (call: BusCall): BusReply => {
      const reply = unless(name, 'silence')(call);
      if (reply === 'silence') setImmediate(() => limit.abort());
      return reply;
    };
    await expect(attest({ answer }, limit.signal)).rejects.toMatchObject({
      code: 'BUS',
      message: `bus at ${socketPath} did not answer in time`,
    });
  });

  const noMessage: readonly (readonly [string, Buffer])[] = [
    ['has no byte order', Buffer.alloc(16)],
    ['has another protocol version', Buffer.from('l\x02\x00\x02'.padEnd(16, '\0'), 'latin1')],
    ['is larger than we take', sizeOf(64 * 1024)],
    ['says that it has 4 GiB', sizeOf(0xffffffff)],
    [
      'has fields that run over its end',
      Buffer.from('l\x02\x00\x01\0\0\0\0\x01\0\0\0\x08\0\0\0\x05\x01u\0\x01\0\0\0\x05\x01u', 'latin1').fill(
        255,
        16,
        18,
      ),
    ],
  ];
  it.each(noMessage)('from a message that %s', async (_, raw) => {
    await expect(attest({ answer: () => ({ raw }) })).rejects.toMatchObject({
      code: 'BUS',
      message: `bus at ${socketPath} sent what is no message`,
    });
  });

  it('from a greeting without an end', async () => {
    await expect(attest({ answer: known, greeting: 'OK '.padEnd(2000, 'x') })).rejects.toMatchObject({ code: 'BUS' });
  });

  it('from a unit that lies elsewhere', async () => {
    const reply: BusReply = { type: 'o', value: '/org/freedesktop/systemd1/job/1' };
    await expect(attest({ answer: unless('GetUnitByPID', reply) })).rejects.toMatchObject({
      code: 'BUS',
      message: 'GetUnitByPID: answer is not the path of a unit: "/org/freedesktop/systemd1/job/1"',
    });
  });

  it('from a property that is no text', async () => {
    await expect(attest({ answer: unless('Id', { type: 'u', value: '7' }) })).rejects.toMatchObject({
      code: 'BUS',
      message: 'Id: answer is not one text',
    });
  });
});

describe('its configuration', () => {
  const log = createLog({ level: 'error', format: 'text', write: () => undefined });

  it('is empty, as in SPIRE', async () => {
    expect((await createWorkloadAttestor('systemd', {}, log)).type).toBe('systemd');
  });

  it.each([
    ['system_bus_socket_path = "unix:path=/run/bus"', 'system_bus_socket_path: must be an absolute path'],
    ['unit = "a.service"', 'unit: unknown key'],
  ])('is refused with %s', async (text, message) => {
    await expect(createWorkloadAttestor('systemd', parseHcl(text), log)).rejects.toThrow(message);
  });
});
