// What is printed where a command is asked about, misspelt or left out. The texts are SPIRE's, which come from its command line library.
import { describe, expect, test } from 'vitest';
import { commands } from '../../../../runtime/server/cli/commands.ts';
import { runCaptured } from './stub-server.ts';

const programHelp = `Usage: spire-server [--version] [--help] <command> [<args>]

Available commands are:
    agent                ${''}
    bundle               ${''}
    debug                ${''}
    entry                ${''}
    federation           ${''}
    healthcheck          Determines server health status
    jwt                  ${''}
    localauthority       ${''}
    logger               ${''}
    run                  Runs the server
    service              ${''}
    token                ${''}
    upstreamauthority    ${''}
    validate             Validates a SPIRE server configuration file
    x509                 ${''}

`;

const tokenUsage = `Usage of generate:
  -instance string
    	Instance name to substitute into socket templates (env SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE).
  -output value
    	Desired output format (pretty, json); default: pretty.
  -socketPath string
    	Path to the SPIRE Server API socket (default "/tmp/spire-server/private/api.sock")
  -spiffeID string
    	Additional SPIFFE ID to assign the token owner (optional)
  -ttl int
    	Token TTL in seconds (default 600)
`;
const tokenGroup = `${tokenUsage}This command is accessed by using one of the subcommands below.

Subcommands:
    generate    Generates a join token
`;

describe('the bare command', () => {
  test.each([
    [[], 127],
    [['-help'], 0],
    [['--help'], 0],
    [['-h'], 0],
    [['agentx'], 127],
    [['make', 'coffee'], 127],
    [['make', '-help'], 127],
    [['-socketPath'], 127],
    [['--', '-help'], 127],
  ])('%j prints the list of commands', async (argv, code) => {
    const run = await runCaptured(argv);
    expect(run).toEqual({ code, out: '', err: programHelp });
  });

  test.each([[['-v']], [['-version']], [['--version']], [['--version', 'agent', 'list']]])(
    '%j prints the version, on standard error as SPIRE does',
    async (argv) => {
      const { err, ...run } = await runCaptured(argv);
      expect(run).toEqual({ code: 0, out: '' });
      expect(err).toMatch(/^1\.15\.3-\S+\n$/);
    },
  );
});

describe('a group of commands', () => {
  test.each([
    [['token'], 1],
    [['token', 'make'], 1],
    [['token', '-help'], 0],
    [['token', 'make', '--help'], 0],
  ])('%j prints the usage of its commands and their list', async (argv, code) => {
    expect(await runCaptured(argv)).toEqual({ code, out: '', err: tokenGroup });
  });

  test('of groups lists them', async () => {
    expect((await runCaptured(['localauthority'])).err).toBe(
      'This command is accessed by using one of the subcommands below.\n\nSubcommands:\n    jwt     \n    x509    \n',
    );
  });

  test('lists its commands in the order of their names, aligned', async () => {
    const { err } = await runCaptured(['localauthority', 'x509']);
    const list = err.slice(err.indexOf('Subcommands:'));
    expect(list.split('\n').map((line) => line.slice(0, 20))).toEqual([
      'Subcommands:',
      '    activate    Acti',
      '    prepare     Prep',
      '    revoke      Revo',
      '    show        Show',
      '    taint       Mark',
      '',
    ]);
  });
});

describe('a command', () => {
  test.each([
    [['token', 'generate', '-help']],
    [['token', 'generate', '-ttl', '5', '-h']],
    [['token', 'generate', '-spiffeID', '--help']],
    [['-help', 'token', 'generate']],
  ])('%j prints its usage', async (argv) => {
    expect(await runCaptured(argv)).toEqual({ code: 0, out: '', err: `${tokenUsage}flag: help requested\n` });
  });

  test('takes no flags before its name', async () => {
    expect(await runCaptured(['-ttl=5', 'token', 'generate'])).toEqual({
      code: 1,
      out: '',
      err: `Invalid flags before the subcommand. If these flags are for\nthe subcommand, please put them after the subcommand.\n\n${tokenUsage}flag: help requested\n`,
    });
  });

  test('has a name of its own, and no group has its name', () => {
    const names = commands.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names.filter((name) => names.some((other) => other.startsWith(`${name} `)))).toEqual([]);
  });

  test('run and validate share their flags', async () => {
    const { err } = await runCaptured(['run', '-help']);
    expect(err).toBe(`Usage of run:
  -bindAddress string
    	IP address or DNS name of the SPIRE server
  -config string
    	Path to a SPIRE config file
  -dataDir string
    	Directory to store runtime data to
  -expandEnv
    	Expand environment variables in SPIRE config file
  -logFile string
    	File to write logs to
  -logFormat string
    	'text' or 'json'
  -logLevel string
    	'debug', 'info', 'warn', or 'error'
  -logSourceLocation
    	Include source file, line number and function name in log lines
  -serverPort int
    	Port number of the SPIRE server
  -socketPath string
    	Path to bind the SPIRE Server API socket to
  -trustDomain string
    	The trust domain that this server belongs to
flag: help requested
`);
    expect((await runCaptured(['validate', '-help'])).err).toBe(err.replace('of run', 'of validate'));
  });
});
