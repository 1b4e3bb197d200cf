import { expect, test } from 'vitest';
import { parseHelperConfig } from '../../../runtime/helper/config.ts';
import type { HelperSurroundings } from '../../../runtime/helper/config.ts';

const x509 = 'svid_file_name = "svid.pem"\nsvid_key_file_name = "key.pem"\nsvid_bundle_file_name = "bundle.pem"\n';
const parse = (text: string, around: Partial<HelperSurroundings> = {}) =>
  parseHelperConfig(text, 'helper.conf', { env: {}, ...around });

test.for([
  [
    '',
    'svid_file_name: nothing to write: set svid_file_name, svid_key_file_name, svid_bundle_file_name, or jwt_svids, or jwt_bundle_file_name',
  ],
  [
    'svid_file_name = "a"',
    'svid_key_file_name: is missing: set all of svid_file_name, svid_key_file_name, svid_bundle_file_name, or none',
  ],
  [`${x509}agentAddress = "/a"`, 'agentAddress: unknown key'],
  [
    `${x509}agent_address = "tcp://127.0.0.1:1"`,
    'agent_address: is "tcp://127.0.0.1:1", want a path or unix:///path/to/socket',
  ],
  [`${x509}cert_file_mode = 01000`, 'cert_file_mode: is 512, want a file mode such as 0600'],
  [`${x509}key_file_mode = -1`, 'key_file_mode: is -1, want a file mode such as 0600'],
  [`${x509}pid_file_name = "/run/a.pid"`, 'renew_signal: is missing: pid_file_name needs it'],
  [`${x509}renew_signal = "SIGNOTHING"`, 'renew_signal: no such signal: "SIGNOTHING"'],
  [
    `${x509}daemon_mode = false\npid_file_name = "/a"\nrenew_signal = "SIGHUP"`,
    'pid_file_name: needs daemon_mode = true',
  ],
  [`${x509}cmd_args = "\\"open"`, 'cmd_args: has a quote that is not closed: "\\"open"'],
  [`${x509}jwt_bundle_file_name = "key.pem"`, 'jwt_bundle_file_name: names "key.pem", as svid_key_file_name does'],
  ['jwt_svids = [{ jwt_audience = "a" }]', 'jwt_svids[0].jwt_svid_file_name: is missing'],
  ['jwt_svids = [{ jwt_svid_file_name = "a" }]', 'jwt_svids[0].jwt_audience: is missing'],
  [
    'jwt_svids = [{ jwt_audience = "a", jwt_svid_file_name = "a", jwt_file = "b" }]',
    'jwt_svids[0].jwt_file: unknown key',
  ],
  [`${x509}health_checks { bind_port = 70000 }`, 'health_checks.bind_port: is 70000, want a port number'],
] as const)('refuses %s', ([text, fault]) => {
  expect(() => parse(text)).toThrow(fault);
});

test('reports every fault at once', () => {
  expect(() => parse('cert_file_mode = -1\nwhatever = 1')).toThrow(
    /cert_file_mode: .*\nsvid_file_name: nothing to write.*\nwhatever: unknown key/,
  );
});

test("has spiffe-helper's defaults", () => {
  expect(parse(x509)).toEqual({
    socketPath: '/tmp/spire-agent/public/api.sock',
    certDir: '.',
    x509: { certificate: 'svid.pem', key: 'key.pem', bundle: 'bundle.pem' },
    jwtSvids: [],
    jwtBundle: undefined,
    modes: { certificate: 0o644, key: 0o600, jwtBundle: 0o600, jwtSvid: 0o600 },
    addIntermediatesToBundle: false,
    includeFederatedDomains: false,
    omitExpired: false,
    hint: '',
    daemon: true,
    command: undefined,
    pidFile: undefined,
    renewSignal: undefined,
    health: undefined,
    warnings: [],
  });
});

test('reads a whole file', () => {
  const config = parse(`${x509}
    agent_address = "unix:///run/agent.sock"
    cmd = "ghostunnel"
    cmd_args = "server --listen localhost:8002 \\"two words\\""
    cert_dir = "certs"
    renew_signal = "SIGUSR1"
    cert_file_mode = 0444
    jwt_svids = [{jwt_audience="your-audience",jwt_extra_audiences=["one", "two"], jwt_svid_file_name="jwt_svid.token"}]
    jwt_bundle_file_name = "bundle.json"
    health_checks { listener_enabled = true }`);
  expect(config).toMatchObject({
    socketPath: '/run/agent.sock',
    command: { program: 'ghostunnel', arguments: ['server', '--listen', 'localhost:8002', 'two words'] },
    renewSignal: 'SIGUSR1',
    modes: { certificate: 0o444 },
    jwtSvids: [{ audience: ['your-audience', 'one', 'two'], name: 'jwt_svid.token' }],
    health: { port: 8081, livePath: '/live', readyPath: '/ready' },
  });
});

test('the socket comes from the environment where the file names none', () => {
  expect(parse(x509, { env: { SPIFFE_ENDPOINT_SOCKET: 'unix:///run/other.sock' } }).socketPath).toBe('/run/other.sock');
});

test('a flag wins over the file, and what has no effect then is said', () => {
  const config = parse(`${x509}daemon_mode = true\ncmd = "a"\nrenew_signal = "SIGHUP"`, { daemon: false });
  expect(config).toMatchObject({ daemon: false, command: undefined, renewSignal: undefined });
  expect(config.warnings).toEqual([
    'cmd has no effect where daemon_mode is false',
    'renew_signal has no effect where daemon_mode is false',
  ]);
});
