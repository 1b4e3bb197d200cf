// Debug and Logger of a running server, over its own socket and over TCP.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DebugService } from '../../../../proto/gen/spire/api/server/debug/v1/debug.ts';
import { LoggerService } from '../../../../proto/gen/spire/api/server/logger/v1/logger.ts';
import { LogLevel } from '../../../../proto/gen/spire/api/types/logger.ts';
import { createLog, logControlOf } from '../../../../runtime/log.ts';
import { parseCertificate } from '../../../../runtime/pki/certificate.ts';
import type { RpcChannel } from '../../../../runtime/rpc/client.ts';
import { connect, createClient } from '../../../../runtime/rpc/client.ts';
import { createLoggerHandlers } from '../../../../runtime/rpc/logger-handlers.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { serverVerifier } from '../../../../runtime/rpc/verify-peer.ts';
import { createDebugService } from '../../../../runtime/server/api/debug-service.ts';
import type { DebugServiceOptions } from '../../../../runtime/server/api/debug-service.ts';
import { serverId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { createFakeAuthority } from '../../../support/fake-authority.ts';
import { createEntry, runServer } from '../../../support/run-server.ts';
import type { RunningTestServer } from '../../../support/run-server.ts';
import { trustDomain } from './callers.ts';

let server: RunningTestServer;
let channel: RpcChannel;

beforeAll(async () => {
  server = await runServer();
  channel = connect({ unixPath: server.socketPath });
});
afterAll(async () => {
  channel.close();
  await server.close();
});

describe('Debug', () => {
  test('GetInfo counts, and shows the server’s own chain up to the root', async () => {
    const agent = await server.attestAgent();
    await createEntry(server.local, '/a', agent.path);
    const info = await createClient(DebugService, channel).getInfo({});
    const root = parseCertificate(server.roots[0]!);
    expect(info).toMatchObject({ agentsCount: 1, entriesCount: 1, federatedBundlesCount: 1 });
    expect(info.uptime).toBeGreaterThanOrEqual(0);
    expect(info.svidChain).toEqual([
      {
        id: { trustDomain: 'example.org', path: '/spire/server' },
        subject: 'O=SPIRE,C=US',
        expiresAt: info.svidChain[0]?.expiresAt,
      },
      {
        id: { trustDomain: 'example.org', path: '' },
        subject: info.svidChain[1]?.subject,
        expiresAt: Math.floor(root.notAfter / 1000),
      },
    ]);
    expect(info.svidChain[1]?.subject).toMatch(/O=SPIFFE,C=US$/);
  });
});

describe('Logger', () => {
  test('tells, sets and resets the level of everything that this server logs', async () => {
    const logger = createClient(LoggerService, channel);
    const launchLevel = LogLevel.DEBUG;
    expect(await logger.getLogger({})).toEqual({ currentLevel: LogLevel.DEBUG, launchLevel });
    const created = () => server.lines.filter((line) => line.includes('msg="Entry created"')).length;

    expect(await logger.setLogLevel({ newLevel: LogLevel.ERROR })).toEqual({
      currentLevel: LogLevel.ERROR,
      launchLevel,
    });
    const before = created();
    await createEntry(server.local, '/quiet', '/nobody');
    expect(created()).toBe(before);

    expect(await logger.resetLogLevel({})).toEqual({ currentLevel: LogLevel.DEBUG, launchLevel });
    await createEntry(server.local, '/loud', '/nobody');
    expect(created()).toBe(before + 1);
  });

  test.each([
    [LogLevel.UNSPECIFIED, 'newLevel value cannot be LogLevel_UNSPECIFIED'],
    [8 as LogLevel, 'unsupported log level'],
  ])('refuses the level %i', async (newLevel, message) => {
    const call = createClient(LoggerService, channel).setLogLevel({ newLevel });
    await expect(call).rejects.toMatchObject({ code: statusCode.INVALID_ARGUMENT, message });
    expect((await createClient(LoggerService, channel).getLogger({})).currentLevel).toBe(LogLevel.DEBUG);
  });

  test.each(['PANIC', 'FATAL', 'ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE'] as const)('knows %s', async (name) => {
    const control = logControlOf(createLog({ level: 'info', format: 'text', write: () => undefined }));
    const service = createLoggerHandlers(control);
    const call = service.setLogLevel({ newLevel: LogLevel[name] });
    expect(await call).toEqual({ currentLevel: LogLevel[name], launchLevel: LogLevel.INFO });
    expect(control.level()).toBe(name.toLowerCase());
  });
});

describe('the cache of GetInfo', () => {
  const authority = createFakeAuthority(trustDomain);
  const credentials = authority.serverCredentials(serverId(trustDomain));
  const bundleOf = (roots: readonly Uint8Array[]) => ({
    trustDomain,
    x509Authorities: roots.map((asn1) => ({ asn1 })),
    jwtAuthorities: [],
    refreshHintSeconds: 60,
    sequenceNumber: 1,
  });
  const start = Date.now();

  function service(changes: { count?: () => Promise<number>; roots?: readonly Uint8Array[] } = {}) {
    let now = start;
    let counted = 0;
    const options: DebugServiceOptions = {
      store: {
        countAgents: changes.count ?? (() => Promise.resolve(++counted)),
        countEntries: () => Promise.resolve(0),
        countBundles: () => Promise.resolve(0),
      },
      authority: { bundle: () => bundleOf(changes.roots ?? authority.roots()), serverCredentials: () => credentials },
      clock: () => now,
      startedAt: start - 90_500,
    };
    const { getInfo } = createDebugService(options);
    return { ask: () => getInfo!({}, {} as never), wait: (ms: number) => (now += ms) };
  }

  test('lasts five seconds', async () => {
    const { ask, wait } = service();
    expect(await ask()).toMatchObject({ agentsCount: 1, uptime: 90 });
    wait(4_999);
    expect(await ask()).toMatchObject({ agentsCount: 1, uptime: 90 });
    wait(1);
    expect(await ask()).toMatchObject({ agentsCount: 2, uptime: 95 });
  });

  test('keeps no failure', async () => {
    let broken = true;
    const { ask } = service({ count: () => (broken ? Promise.reject(new Error('gone')) : Promise.resolve(7)) });
    await expect(ask()).rejects.toMatchObject({ code: statusCode.INTERNAL, message: 'failed to count agents: gone' });
    broken = false;
    expect(await ask()).toMatchObject({ agentsCount: 7 });
  });

  test('is no answer for a server whose certificate the bundle does not vouch for', async () => {
    const { ask } = service({ roots: createFakeAuthority(trustDomain).roots() });
    await expect(ask()).rejects.toMatchObject({
      code: statusCode.INTERNAL,
      message: expect.stringMatching(/^failed verification against bundle: /) as string,
    });
  });
});

test('neither is served over TCP', async () => {
  const { credentials } = await server.attestAgent();
  for (const definition of [DebugService, LoggerService]) {
    const tcp = connect({
      host: '127.0.0.1',
      port: server.port,
      verifyServer: serverVerifier({ expectedId: serverId(trustDomain), roots: () => server.roots, clock: Date.now }),
      credentials: () => credentials,
    });
    const call =
      definition === DebugService
        ? createClient(DebugService, tcp).getInfo({})
        : createClient(LoggerService, tcp).getLogger({});
    await expect(call).rejects.toMatchObject({ code: statusCode.UNIMPLEMENTED });
    tcp.close();
  }
});
