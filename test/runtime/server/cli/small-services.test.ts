// `logger`, `debug` and `upstreamauthority` against a server whose answers stand here.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DebugService } from '../../../../proto/gen/spire/api/server/debug/v1/debug.ts';
import { LocalAuthorityService } from '../../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { LoggerService } from '../../../../proto/gen/spire/api/server/logger/v1/logger.ts';
import { LogLevel } from '../../../../proto/gen/spire/api/types/logger.ts';
import { failedPrecondition, internal } from '../../../../runtime/rpc/status.ts';
import { startStubServer } from './stub-server.ts';
import type { StubServer } from './stub-server.ts';

let server: StubServer;
let currentLevel: LogLevel = LogLevel.DEBUG;
let broken = false;

beforeAll(async () => {
  const logger = () => {
    if (broken) throw internal('no logger');
    return { currentLevel, launchLevel: LogLevel.WARN };
  };
  server = await startStubServer((rpc) => {
    rpc.addService(LoggerService, {
      getLogger: async () => logger(),
      setLogLevel: async ({ newLevel }) => {
        currentLevel = newLevel;
        return logger();
      },
      resetLogLevel: async () => {
        currentLevel = LogLevel.WARN;
        return logger();
      },
    });
    rpc.addService(DebugService, {
      getInfo: async () => ({
        uptime: 3_723,
        agentsCount: 2,
        entriesCount: 30,
        federatedBundlesCount: 1,
        svidChain: [
          {
            id: { trustDomain: 'example.org', path: '/spire/server' },
            expiresAt: 1_700_000_000,
            subject: 'O=SPIRE,C=US',
          },
          { id: undefined, expiresAt: 1_700_003_600, subject: 'CN=root' },
        ],
      }),
    });
    rpc.addService(LocalAuthorityService, {
      taintX509UpstreamAuthority: async ({ subjectKeyId }) => ({ upstreamAuthoritySubjectKeyId: subjectKeyId }),
      revokeX509UpstreamAuthority: async () => {
        throw failedPrecondition('upstream authority is not configured');
      },
    });
  });
});
afterAll(() => server.close());

describe('logger', () => {
  test('get prints both levels', async () => {
    expect(await server.run('logger', 'get')).toEqual({
      code: 0,
      out: 'Logger Level : debug\nLaunch Level : warning\n\n',
      err: '',
    });
    expect((await server.run('logger', 'get', '-output', 'json')).out).toBe(
      '{"current_level":"DEBUG","launch_level":"WARN"}\n',
    );
  });

  test.each([
    ['panic', 'panic'],
    ['fatal', 'fatal'],
    ['ERROR', 'error'],
    ['warn', 'warning'],
    ['warning', 'warning'],
    ['Info', 'info'],
    ['debug', 'debug'],
    ['trace', 'trace'],
  ])('set -level %s', async (level, printed) => {
    const { out } = await server.run('logger', 'set', '-level', level);
    expect(out).toBe(`Logger Level : ${printed}\nLaunch Level : warning\n\n`);
  });

  test('reset goes back to the level at start', async () => {
    expect((await server.run('logger', 'reset')).out).toBe('Logger Level : warning\nLaunch Level : warning\n\n');
  });

  test.each([
    [['set'], 'a value (-level) must be set'],
    [['set', '-level', 'Loud'], 'the value "Loud" is not a valid setting'],
  ])('%j is refused', async (argv, message) => {
    expect(await server.run('logger', ...argv)).toEqual({ code: 1, out: '', err: `Error: ${message}\n` });
  });

  test.each([
    [['get'], 'error fetching logger'],
    [['set', '-level', 'info'], 'failed to set log level'],
    [['reset'], 'failed to reset logger'],
  ])('%j tells the server’s refusal', async (argv, what) => {
    broken = true;
    const { err } = await server.run('logger', ...argv);
    broken = false;
    expect(err).toBe(`Error: ${what}: rpc error: code = Internal desc = no logger\n`);
  });

  test('refuses a level that nobody knows', async () => {
    currentLevel = LogLevel.UNSPECIFIED;
    expect((await server.run('logger', 'get')).err).toBe(
      'Error: internal error: returned current log level is undefined; please report this as a bug\n',
    );
  });
});

test('debug getinfo prints counts and the server’s chain', async () => {
  expect(await server.run('debug', 'getinfo')).toEqual({
    code: 0,
    out: `Server Debug Info:
  Uptime:                  1h2m3s
  Registered Agents:       2
  Registration Entries:    30
  Federated Bundles:       1
  SVID Chain:
    [0] SPIFFE ID:  spiffe://example.org/spire/server
        Subject:    O=SPIRE,C=US
        Expires At: 2023-11-14T22:13:20Z
    [1] SPIFFE ID:  (none)
        Subject:    CN=root
        Expires At: 2023-11-14T23:13:20Z
`,
    err: '',
  });
  expect(JSON.parse((await server.run('debug', 'getinfo', '-output', 'json')).out)).toEqual({
    agents_count: 2,
    entries_count: 30,
    federated_bundles_count: 1,
    svid_chain: [
      { id: { path: '/spire/server', trust_domain: 'example.org' }, expires_at: '1700000000', subject: 'O=SPIRE,C=US' },
      { expires_at: '1700003600', subject: 'CN=root' },
    ],
    uptime: 3723,
  });
});

describe('upstreamauthority', () => {
  test('taint names what was tainted', async () => {
    expect(await server.run('upstreamauthority', 'taint', '-subjectKeyID', 'ab12')).toEqual({
      code: 0,
      out: 'Tainted X.509 upstream authority:\n  Subject Key ID: ab12\n',
      err: '',
    });
    expect((await server.run('upstreamauthority', 'taint', '-subjectKeyID', 'a', '-output', 'json')).out).toBe(
      '{"upstream_authority_subject_key_id":"a"}\n',
    );
  });

  test.each(['taint', 'revoke'])('%s needs the key’s ID', async (act) => {
    expect(await server.run('upstreamauthority', act)).toEqual({
      code: 1,
      out: '',
      err: 'Error: the Subject Key ID of the X.509 upstream authority is required\n',
    });
  });

  test('revoke tells the server’s refusal', async () => {
    expect((await server.run('upstreamauthority', 'revoke', '-subjectKeyID', 'a')).err).toBe(
      'Error: could not revoke X.509 upstream authority: rpc error: code = FailedPrecondition desc = upstream authority is not configured\n',
    );
  });
});
