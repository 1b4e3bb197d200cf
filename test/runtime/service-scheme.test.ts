// The service scheme from end to end: our server, our agent, a service and the processes that it runs for its customers, each with a program and a user
// of its own. By user they are told apart where we may choose users, by unit everywhere (with a stand-in for systemd's bus).
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ServiceBrokerService, ServiceIdentitiesService } from '../../proto/gen/espalier/service/v1/service.ts';
import type { Template } from '../../proto/gen/espalier/service/v1/service.ts';
import type { X509SVIDResponse } from '../../proto/gen/spiffe/workload/workload.ts';
import { SpiffeWorkloadAPIService } from '../../proto/gen/spiffe/workload/workload.ts';
import type { Entry } from '../../proto/gen/spire/api/types/entry.ts';
import { createClient } from '../../runtime/rpc/client.ts';
import { RpcError, statusCode } from '../../runtime/rpc/status.ts';
import { eventually } from '../support/eventually.ts';
import { startRelay } from '../support/relay-process.ts';
import type { Relay } from '../support/relay-process.ts';
import { startAgent } from '../support/run-agent.ts';
import type { RunningAgent } from '../support/run-agent.ts';
import { createEntry, runServer } from '../support/run-server.ts';
import type { RunningTestServer } from '../support/run-server.ts';
import { startBusStandIn } from './attest/workload/systemd/bus-stand-in.ts';
import type { BusStandIn } from './attest/workload/systemd/bus-stand-in.ts';

const isRoot = process.getuid?.() === 0;
const call = { metadata: { 'workload.spiffe.io': 'true' }, deadlineMs: 20_000 };
const metaldId = 'spiffe://example.org/service/metald';
const idOf = (customer: string) => `${metaldId}/customer/${customer}`;

let directory: string;
let server: RunningTestServer;
let agent: RunningAgent;
let bus: BusStandIn;
let metald: Entry;
const units = new Map<number, string>();
const relays: Relay[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'service-'));
  await chmod(directory, 0o755);
  const busPath = join(directory, 'bus.sock');
  bus = await startBusStandIn({ socketPath: busPath, answer: unitOf });
  server = await runServer();
  const token = await server.local.agent.createJoinToken({ ttl: 60, token: '', agentId: undefined });
  agent = await startAgent({
    port: server.port,
    bundlePem: server.bundlePem,
    joinToken: token.value,
    discoverWorkloadPath: true,
    plugins: `WorkloadAttestor "systemd" { plugin_data { system_bus_socket_path = "${busPath}" } }`,
  });
  await agent.serving();
  await chmod(agent.directory, 0o755);
  const selectors = [{ type: 'unix', value: `path:${join(directory, 'metald')}` }];
  metald = await createEntry(server.local, '/service/metald', `/spire/agent/join_token/${token.value}`, { selectors });
});
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.close()));
  await agent.remove();
  await server.close();
  await bus.close();
  await rm(directory, { recursive: true, force: true });
});

/** Each process has a unit of its own: its object's path names its pid. */
function unitOf({ member, path, arguments: given }: { member: string; path: string; arguments: readonly unknown[] }) {
  if (member === 'GetUnitByPID')
    return { type: 'o', value: `/org/freedesktop/systemd1/unit/p${String(given[0])}` } as const;
  const pid = Number(path.slice(path.lastIndexOf('/p') + 2));
  const unit = units.get(pid) ?? `other-${pid}.service`;
  return { type: 'v', value: given[1] === 'Id' ? unit : `/etc/systemd/system/${unit}` } as const;
}

async function start(name: string, uid?: number): Promise<Relay> {
  const relay = await startRelay({
    directory,
    name,
    agentSocketPath: agent.socketPath,
    ...(uid === undefined || !isRoot ? {} : { uid }),
  });
  relays.push(relay);
  units.set(relay.pid, `${name}@${relays.length}.service`);
  return relay;
}

async function set(distinguishedBy: string, programs: readonly string[] = ['vm']): Promise<void> {
  const template: Template = {
    entryId: metald.id,
    spiffeId: undefined,
    kinds: ['customer'],
    selectors: programs.map((name) => ({ type: 'unix', value: `path:${join(directory, name)}` })),
    distinguishedBy,
    x509SvidTtl: 0,
    jwtSvidTtl: 0,
    leaseSeconds: 0,
    mostIdentities: 0,
  };
  await createClient(ServiceIdentitiesService, server.localChannel).setTemplate({ template });
}

const give = (by: Relay, to: Relay, id: string) =>
  createClient(ServiceBrokerService, by.channel).giveIdentity({ service: '', kind: 'customer', id, pid: to.pid }, call);
const take = (by: Relay, id: string) =>
  createClient(ServiceBrokerService, by.channel).takeIdentity({ service: '', kind: 'customer', id, entryId: '' }, call);

/** The SPIFFE IDs that a process gets; a refusal is told by its message. */
async function idsOf({ channel }: Relay): Promise<string[] | string> {
  try {
    for await (const { svids } of createClient(SpiffeWorkloadAPIService, channel).fetchX509Svid({}, call))
      return svids.map(({ spiffeId }) => spiffeId);
    return 'stream ended';
  } catch (error) {
    if (error instanceof RpcError) return error.message;
    throw error;
  }
}

function firstOf(result: IteratorResult<X509SVIDResponse, undefined>): X509SVIDResponse {
  if (result.done === true) throw new Error('stream ended');
  return result.value;
}

const ways = [...(isRoot ? ['unix:uid'] : []), 'systemd:id'];

describe.each(ways)('processes told apart by %s', (distinguishedBy) => {
  it('get the identities of their own customers, and none of another’s', async () => {
    await set(distinguishedBy);
    const [service, first, second] = [
      await start('metald', 20_000),
      await start('vm', 20_001),
      await start('vm', 20_002),
    ];
    expect(await idsOf(first)).toBe('no identity issued');
    expect(await give(service, first, 'cust-1')).toMatchObject({
      spiffeId: { trustDomain: 'example.org', path: '/service/metald/customer/cust-1' },
    });
    await give(service, second, 'cust-2');
    expect(await idsOf(first)).toEqual([idOf('cust-1')]);
    expect(await idsOf(second)).toEqual([idOf('cust-2')]);
    expect(await idsOf(service)).toEqual([metaldId]);

    // Nobody but the service may ask, and what one customer has, the service itself cannot put upon another.
    const refused = {
      code: statusCode.PERMISSION_DENIED,
      message: 'caller is no service: its SPIFFE ID is not /service/<name>',
    };
    await expect(give(first, first, 'cust-2')).rejects.toMatchObject(refused);
    await expect(give(first, second, 'cust-1')).rejects.toMatchObject(refused);
    await expect(take(first, 'cust-2')).rejects.toMatchObject(refused);
    await expect(give(service, first, 'cust-2')).rejects.toMatchObject({ code: statusCode.ALREADY_EXISTS });
    expect(await idsOf(first)).toEqual([idOf('cust-1')]);
  });

  it('lose them at once on streams that are open, with the service’s word and with the template', async () => {
    await set(distinguishedBy);
    const [service, first, second] = [
      await start('metald', 20_000),
      await start('vm', 20_001),
      await start('vm', 20_002),
    ];
    await give(service, first, 'cust-1');
    await give(service, second, 'cust-2');
    const streams = [first, second].map(({ channel }) =>
      createClient(SpiffeWorkloadAPIService, channel)
        .fetchX509Svid({}, { metadata: call.metadata })
        [Symbol.asyncIterator](),
    );
    const seen = await Promise.all(streams.map(async (stream) => firstOf(await stream.next())));
    expect(seen.map((message) => message.svids.map((svid) => svid.spiffeId))).toEqual([
      [idOf('cust-1')],
      [idOf('cust-2')],
    ]);
    const gone = { code: statusCode.PERMISSION_DENIED, message: 'no identity issued' };
    const [ended, alsoEnded] = streams.map((stream) => expect(stream.next()).rejects.toMatchObject(gone));
    expect(await take(service, 'cust-1')).toEqual({ withdrawn: 1 });
    await ended;
    expect(await idsOf(second)).toEqual([idOf('cust-2')]);
    await createClient(ServiceIdentitiesService, server.localChannel).deleteTemplate({ entryId: metald.id });
    await alsoEnded;
  });
});

describe('a service is refused', () => {
  const denied = (message: string) => ({ code: statusCode.PERMISSION_DENIED, message });

  it('without a template', async () => {
    const [service, vm] = [await start('metald', 20_000), await start('vm', 20_001)];
    await expect(give(service, vm, 'a')).rejects.toMatchObject(
      denied('service has no template: an administrator has not let it give identities'),
    );
  });

  it('a process that is none of those that it runs', async () => {
    await set('systemd:id');
    const [service, other] = [await start('metald', 20_000), await start('other', 20_001)];
    await expect(give(service, other, 'a')).rejects.toMatchObject(
      denied(`process lacks the selector unix:path:${join(directory, 'vm')}`),
    );
  });

  it('itself', async () => {
    await set('systemd:id', ['metald']);
    const service = await start('metald', 20_000);
    await expect(give(service, service, 'a')).rejects.toMatchObject(
      denied('process holds the identity of the service itself'),
    );
  });

  it('a process that is gone', async () => {
    await set('systemd:id');
    const [service, vm] = [await start('metald', 20_000), await start('vm', 20_001)];
    await vm.close();
    await expect(give(service, vm, 'a')).rejects.toMatchObject({
      code: statusCode.UNAVAILABLE,
      message: 'workload attestation failed',
    });
  });
});

it('the agent says who gave what to whom', async () => {
  await set('systemd:id');
  const [service, vm] = [await start('metald', 20_000), await start('vm', 20_001)];
  const { entryId } = await give(service, vm, 'cust-1');
  await eventually(() => {
    const line = agent.lines.find((text) => text.includes('Service identity given'));
    expect(line).toContain(`entry_id=${entryId}`);
    expect(line).toContain(`pid=${service.pid} process_pid=${vm.pid}`);
    expect(line).toContain(`spiffe_id="${idOf('cust-1')}" type=audit`);
  });
});
