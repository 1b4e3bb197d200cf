// Three tiers in one process – a root server, one below it, one below that, an agent of each – where what changes at the top reaches the bottom by
// push. No poll helps: those between servers come every 30 s while they are told of changes, those of the agents never in a test's time.
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { FleetService, HolderKind, Proof } from '../../../../proto/gen/espalier/fleet/v1/fleet.ts';
import type { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import { LocalAuthorityService } from '../../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { connect, createClient } from '../../../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../../../runtime/rpc/client.ts';
import { callMetadata as metadata, startAgent } from '../../../support/run-agent.ts';
import type { RunningAgent } from '../../../support/run-agent.ts';
import { createEntry, runServer } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';

const selectors = [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }];
const servers: RunningTestServer[] = [];
const agents: RunningAgent[] = [];
const channels: RpcChannel[] = [];

/** An agent of that server, and an entry below it for this process. */
async function startAgentOf(server: RunningTestServer, path: string, downstream: boolean): Promise<RunningAgent> {
  const { value } = await server.local.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
  await createEntry(server.local, path, `/spire/agent/join_token/${value}`, { selectors, downstream });
  const agent = await startAgent({ ...server, joinToken: value, syncInterval: '10m' });
  agents.push(agent);
  await agent.serving();
  return agent;
}

async function startServerBelow(above: RunningTestServer, agent: RunningAgent): Promise<RunningTestServer> {
  const data = `server_address = "127.0.0.1" server_port = "${above.port}" workload_api_socket = "${agent.socketPath}"`;
  return runServer({
    settings: 'ca_ttl = "20h"',
    plugins: `UpstreamAuthority "spire" { plugin_data { ${data} } }`,
  });
}

beforeAll(async () => {
  servers.push(await runServer({ settings: 'ca_ttl = "200h"' }));
  for (const path of ['/middle', '/bottom']) {
    const above = servers.at(-1)!;
    servers.push(await startServerBelow(above, await startAgentOf(above, path, true)));
  }
  await startAgentOf(servers[2]!, '/workload', false);
}, 120_000);
afterAll(async () => {
  for (const channel of channels) channel.close();
  for (const agent of agents.reverse()) await agent.remove();
  for (const server of servers.reverse()) await server.close();
}, 60_000);

/** What a workload's open stream at the bottom has. */
function followBundles() {
  const stop = new AbortController();
  const state = { bundle: 0, stop: () => stop.abort() };
  void (async () => {
    const calls = agents[2]!.api.fetchX509Bundles({}, { metadata, signal: stop.signal });
    for await (const { bundles } of calls) state.bundle = bundles['spiffe://example.org']!.length;
  })().catch(() => undefined);
  return state;
}

const bundleOf = (server: RunningTestServer): Promise<Bundle> =>
  server.local.bundle.getBundle({ outputMask: undefined });
const eventually = (act: () => Promise<void> | void) => vi.waitFor(act, { timeout: 25_000, interval: 10 });
const tellOnce = (what: string, began: number) =>
  console.log(`${what} after ${Math.round(performance.now() - began)} ms`);

test('a new authority and its taint reach every server, every agent and a workload’s stream', async () => {
  const channel = connect({ unixPath: servers[0]!.socketPath });
  channels.push(channel);
  const root = createClient(LocalAuthorityService, channel);
  const stream = followBundles();
  await eventually(() => expect(stream.bundle).toBeGreaterThan(0));
  const before = stream.bundle;

  let began = performance.now();
  const { preparedAuthority } = await root.prepareX509Authority({});
  await eventually(async () => expect((await bundleOf(servers[1]!)).x509Authorities).toHaveLength(2));
  tellOnce('new authority at the middle server', began);
  await eventually(async () => expect((await bundleOf(servers[2]!)).x509Authorities).toHaveLength(2));
  tellOnce('new authority at the bottom server', began);
  await eventually(() => expect(stream.bundle).toBeGreaterThan(before));
  tellOnce('new authority at the workload of the bottom', began);

  const { active } = await root.getX509AuthorityState({});
  await root.activateX509Authority({ authorityId: preparedAuthority!.authorityId });
  began = performance.now();
  await root.taintX509Authority({ authorityId: active!.authorityId });
  const tainted = ({ x509Authorities }: Bundle) => x509Authorities.filter((authority) => authority.tainted);
  await eventually(async () => expect(tainted(await bundleOf(servers[1]!))).toHaveLength(1));
  await eventually(async () => expect(tainted(await bundleOf(servers[2]!))).toHaveLength(1));
  tellOnce('taint at the bottom server', began);
  await eventually(() => {
    for (const agent of agents) expect(agent.lines.join('')).toContain('New tainted X.509 authorities found');
  });
  tellOnce('taint at every agent', began);

  await eventually(async () => {
    for (const server of servers.slice(1)) {
      const { x509Authorities } = await bundleOf(server);
      expect(x509Authorities.some((authority) => !authority.tainted)).toBe(true);
    }
  });
  began = performance.now();
  await eventually(() => root.revokeX509Authority({ authorityId: active!.authorityId }).then(() => undefined));
  await eventually(async () => {
    for (const server of servers) expect((await bundleOf(server)).x509Authorities).toHaveLength(1);
  });
  tellOnce('revocation at every server', began);
  await eventually(() => expect(stream.bundle).toBeLessThan(before * 1.5));
  stream.stop();
}, 120_000);

test('each tier knows who holds what: its own servers, its agents and the streams behind them, the server below', async () => {
  const stream = followBundles();
  await eventually(() => expect(stream.bundle).toBeGreaterThan(0));
  const holdingsOf = async ({ socketPath }: RunningTestServer) => {
    const channel = connect({ unixPath: socketPath });
    channels.push(channel);
    const request = { pageSize: 0, pageToken: '', kinds: [], onlyBehind: false };
    return (await createClient(FleetService, channel).listHoldings(request)).holdings;
  };
  const held = (bundle: Bundle) => bundle.jwtAuthorities.map(({ keyId }) => keyId).sort();
  for (const [tier, server] of servers.entries()) {
    const keyIds = held(await bundleOf(server));
    await eventually(async () => {
      const holdings = await holdingsOf(server);
      const kinds =
        tier < 2 ? [HolderKind.SERVER, HolderKind.AGENT, HolderKind.DOWNSTREAM] : [HolderKind.SERVER, HolderKind.AGENT];
      expect(holdings.map(({ kind }) => kind)).toEqual(kinds);
      for (const { proof, streamsProof, missing, jwtAuthorities } of holdings) {
        expect([proof, streamsProof, missing]).toEqual([Proof.PROOF_SHOWN, Proof.PROOF_DRAINED, []]);
        expect(jwtAuthorities.map(({ authorityId }) => authorityId).sort()).toEqual(keyIds);
      }
    });
  }
  await eventually(async () => {
    const [, found] = await holdingsOf(servers[2]!);
    expect(found).toMatchObject({ streams: 1, streamsLagging: 0, silent: false });
  });
  const [, agent] = await holdingsOf(servers[2]!);
  expect(agent?.own?.x509AuthorityIds).toHaveLength(3); // by the bottom server, the middle one and the root
  const [, , below] = await holdingsOf(servers[0]!);
  expect(below).toMatchObject({ id: 'spiffe://example.org/middle', own: { count: 1 } });
  expect(below?.instance).toHaveLength(36);
  stream.stop();
}, 120_000);

test('a prepared authority is withdrawn everywhere, an unknown one is no failure, and one that signs is refused', async () => {
  const channel = connect({ unixPath: servers[0]!.socketPath });
  channels.push(channel);
  const [authority, fleet] = [createClient(LocalAuthorityService, channel), createClient(FleetService, channel)];
  const before = (await bundleOf(servers[2]!)).x509Authorities.length;
  const { preparedAuthority } = await authority.prepareX509Authority({});
  const { authorityId } = preparedAuthority!;
  await eventually(async () => expect((await bundleOf(servers[2]!)).x509Authorities).toHaveLength(before + 1));
  await fleet.withdrawAuthority({ authorityId, jwt: false });
  expect((await authority.getX509AuthorityState({})).prepared).toBeUndefined();
  await eventually(async () => expect((await bundleOf(servers[2]!)).x509Authorities).toHaveLength(before));
  await fleet.withdrawAuthority({ authorityId, jwt: false });
  const { active } = await authority.getX509AuthorityState({});
  await expect(fleet.withdrawAuthority({ authorityId: active!.authorityId, jwt: false })).rejects.toMatchObject({
    code: 9,
    message: `authority "${active!.authorityId}" is active: only a prepared one can be withdrawn`,
  });
});

test('the root knows who asked for CAs under it, and that they have shown where they stand', async () => {
  const channel = connect({ unixPath: servers[0]!.socketPath });
  channels.push(channel);
  const fleet = createClient(FleetService, channel);
  const { authorities, nowMs } = await fleet.countHoldings({ authorityId: '' });
  const held = authorities.filter(({ jwt, published }) => published && !jwt);
  expect(held.flatMap(({ unaccountedCaHolders }) => unaccountedCaHolders)).toEqual(['spiffe://example.org/middle']);
  expect(Math.abs(nowMs - Date.now())).toBeLessThan(60_000);
});
