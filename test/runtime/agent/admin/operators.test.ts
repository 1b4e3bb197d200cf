// What operators find on the admin socket, and that it is not where workloads look.
import { statSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  HealthCheckResponse_ServingStatus as ServingStatus,
  HealthService,
} from '../../../../proto/gen/grpc/health/v1/health.ts';
import { DebugService } from '../../../../proto/gen/spire/api/agent/debug/v1/debug.ts';
import { LoggerService } from '../../../../proto/gen/spire/api/agent/logger/v1/logger.ts';
import { LogLevel } from '../../../../proto/gen/spire/api/types/logger.ts';
import { createDebugService } from '../../../../runtime/agent/admin/debug-service.ts';
import { connect, createClient } from '../../../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../../../runtime/rpc/client.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { createSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../../support/fake-authority.ts';
import { startFakeSpireServer } from '../../../support/fake-spire-server.ts';
import type { FakeSpireServer } from '../../../support/fake-spire-server.ts';
import { startAgent } from '../../../support/run-agent.ts';
import type { RunningAgent } from '../../../support/run-agent.ts';
import { workloadKey } from '../../../support/authorities.ts';

let server: FakeSpireServer;
let agent: RunningAgent;
let channel: RpcChannel;

beforeAll(async () => {
  server = await startFakeSpireServer();
  server.setEntries({ path: '/workload', selectors: ['unix:uid:4242'] });
  const [bundlePem, joinToken] = [server.bundlePem(), server.createToken()];
  agent = await startAgent({ port: server.port, bundlePem, joinToken, hasAdminSocket: true });
  await agent.serving();
  channel = connect({ unixPath: agent.adminSocketPath });
});
afterAll(async () => {
  channel.close();
  await agent.remove();
  await server.close();
});

it('the admin socket is its group’s, and workloads find nothing of it on theirs', async () => {
  expect(statSync(agent.adminSocketPath).mode & 0o777).toBe(0o770);
  expect(statSync(agent.socketPath).mode & 0o777).toBe(0o777);
  await expect(createClient(DebugService, agent.channel).getInfo({})).rejects.toMatchObject({
    code: statusCode.UNIMPLEMENTED,
  });
});

describe('health', () => {
  it('says that the agent serves, on both sockets', async () => {
    for (const each of [channel, agent.channel])
      expect(await createClient(HealthService, each).check({ service: '' })).toEqual({ status: ServingStatus.SERVING });
  });

  it('is not told for one service', async () => {
    await expect(createClient(HealthService, channel).check({ service: 'x' })).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'per-service health is not supported',
    });
  });
});

describe('the log level', () => {
  const api = () => createClient(LoggerService, channel);
  const levels = (currentLevel: LogLevel) => ({ currentLevel, launchLevel: LogLevel.DEBUG });

  it.each([
    [LogLevel.UNSPECIFIED, 'newLevel value cannot be LogLevel_UNSPECIFIED'],
    [99 as LogLevel, 'unsupported log level'],
  ])('cannot be %s', async (newLevel, message) => {
    await expect(api().setLogLevel({ newLevel })).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT, message });
    expect(await api().getLogger({})).toEqual(levels(LogLevel.DEBUG));
  });

  it('is set for the whole agent, and set back', async () => {
    expect(await api().setLogLevel({ newLevel: LogLevel.ERROR })).toEqual(levels(LogLevel.ERROR));
    expect(await api().getLogger({})).toEqual(levels(LogLevel.ERROR));
    const before = agent.lines.length;
    server.setEntries({ path: '/a', selectors: ['unix:uid:4242'] }, { path: '/b', selectors: ['unix:uid:4242'] });
    const calls = () => server.state.calls.get('batchNewX509SVID') ?? 0;
    const signed = calls();
    await expect.poll(calls).toBeGreaterThan(signed);
    expect(agent.lines.slice(before).join('')).toBe('');
    expect(await api().resetLogLevel({})).toEqual(levels(LogLevel.DEBUG));
    server.setEntries({ path: '/c', selectors: ['unix:uid:4242'] });
    await expect.poll(() => agent.lines.slice(before).join('')).toContain('level=debug');
  });
});

describe('debug getinfo', () => {
  it('tells of this agent', async () => {
    const info = await createClient(DebugService, channel).getInfo({});
    const [leaf, root, ...others] = info.svidChain;
    expect(others).toEqual([]);
    expect(leaf!.id!.path).toMatch(/^\/spire\/agent\/join_token\//);
    expect(leaf!.expiresAt).toBeGreaterThan(Date.now() / 1000);
    expect(root!.id).toEqual({ trustDomain: 'example.org', path: '' });
    expect(info.lastSyncSuccess).toBeGreaterThan(Date.now() / 1000 - 60);
    expect(info).toMatchObject({ cachedJwtSvidsCount: 0, cachedSvidstoreX509SvidsCount: 0 });
  });

  const trustDomain = parseTrustDomain('example.org');
  const authority = createFakeAuthority(trustDomain);
  const svid = authority.issue({
    publicKey: workloadKey.publicKey,
    spiffeId: createSpiffeId(trustDomain, '/spire/agent/a'),
    ttl: 60_000,
  });
  const at = Date.now();
  const parts = (overrides = {}) => ({
    chain: () => svid.certChain,
    bundle: () => ({
      trustDomain,
      x509Authorities: authority.roots().map((asn1) => ({ asn1 })),
      jwtAuthorities: [],
      refreshHintSeconds: 0,
      sequenceNumber: 0,
    }),
    x509SvidCount: () => 3,
    jwtSvidCount: () => 2,
    lastSync: () => undefined,
    startedAt: at - 90_500,
    clock: () => at,
    ...overrides,
  });
  const infoOf = (overrides = {}) => createDebugService(parts(overrides)).getInfo!({}, undefined as never);

  it('counts, in whole seconds, and knows no sync before the first', async () => {
    expect(await infoOf()).toMatchObject({
      uptime: 90,
      svidsCount: 3,
      cachedX509SvidsCount: 3,
      cachedJwtSvidsCount: 2,
      lastSyncSuccess: 0,
    });
  });

  it('answers from memory for five seconds', async () => {
    let now = Date.now();
    let count = 1;
    const service = createDebugService(parts({ clock: () => now, x509SvidCount: () => count }));
    const counted = async () => (await service.getInfo!({}, undefined as never)).cachedX509SvidsCount;
    expect(await counted()).toBe(1);
    count = 2;
    now += 4_999;
    expect(await counted()).toBe(1);
    now += 1;
    expect(await counted()).toBe(2);
  });

  it('refuses where the agent’s own SVID does not hold', async () => {
    await expect(infoOf({ clock: () => Date.now() + 3_600_000 })).rejects.toMatchObject({
      code: statusCode.INTERNAL,
      message: expect.stringMatching(/^failed to verify agent SVID: /) as string,
    });
  });
});
