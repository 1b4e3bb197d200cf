// What our agent's command line says where it is asked for help or cannot read its flags, against SPIRE's own, byte for byte. No agent runs.
import { beforeAll, describe, expect, it } from 'vitest';
import { ourAgent } from './support/agent.ts';
import { run } from './support/processes.ts';
import { prepareSpireAgent } from './support/programs.ts';

let spireAgent: string;
beforeAll(async () => {
  spireAgent = await prepareSpireAgent();
});

const asked = `
  api -h
  api fetch -h
  api fetch --help
  api fetch bogus -h
  api fetch x509 -h
  api fetch jwt -help
  api validate -h
  api validate jwt -h
  api watch -h
  debug -h
  debug getinfo -h
  healthcheck -h
  -h healthcheck
  logger -h
  logger get -h
  logger set -h
  logger reset -h
  run -h
  validate -h`;
const incomplete = `
  api
  api bogus
  api validate
  debug
  logger
  -socketPath=x healthcheck`;
const refused = `
  api fetch -bogus
  api fetch -output xml
  api fetch -timeout x
  api fetch -timeout 5
  api fetch -timeout 5x
  api fetch -silent=perhaps
  api fetch x509 --bogus
  api fetch jwt -bogus
  api fetch jwt -audience
  api validate jwt -bogus
  api watch -bogus
  debug getinfo -bogus
  healthcheck -bogus
  logger get -bogus
  logger set -bogus
  logger set -level
  run -bogus
  run -logLevel
  run -serverPort x
  validate -bogus`;
const lines = (text: string) => text.trim().split(/\n */);

describe.each([
  ['help', lines(asked), 0],
  ['a command that is none', lines(incomplete), 1],
  ['a flag that is refused', lines(refused), 1],
] as const)('%s', (_, commands, code) => {
  it.each(commands)('spire-agent %s', async (command) => {
    const words = command.split(' ');
    const [theirs, ours] = await Promise.all([run(spireAgent, words), run(ourAgent, words)]);
    expect(theirs.code).toBe(code);
    expect(theirs.stderr).not.toBe('');
    expect(ours).toEqual(theirs);
  });
});

it.each(['-h', 'bogus', '-- healthcheck', '-socketPath x healthcheck'])(
  'spire-agent %s: the same, with the one command that is ours',
  async (command) => {
    const words = command.split(' ');
    const [theirs, ours] = await Promise.all([run(spireAgent, words), run(ourAgent, words)]);
    const { stderr } = ours;
    expect(stderr).toContain('    service        \n');
    expect({ ...ours, stderr: stderr.replace('    service        \n', '') }).toEqual(theirs);
  },
);
