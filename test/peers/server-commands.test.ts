// The commands of SPIRE's server on our server, and ours on SPIRE's: a session that both would show alike.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareSpireServer } from './support/programs.ts';
import { ourServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { record, session } from './support/transcript.ts';
import type { Exchange } from './support/transcript.ts';

const stage = createStage();
let theirs: string;
let expected: readonly Exchange[];

beforeAll(async () => {
  theirs = await prepareSpireServer();
  expected = await record(theirs, await stage.server({ name: 'model', command: theirs }));
});
afterAll(() => stage.strike());

/** A command that SPIRE has not is one more line of the list of commands. */
const ownCommand = /^ {4}service *\n/m;

const pairs = [
  ['SPIRE’s commands on our server', () => theirs, () => ourServer],
  ['our commands on SPIRE’s server', () => ourServer, () => theirs],
] as const;

describe.each(pairs)('%s', (title, command, serverCommand) => {
  let seen: readonly Exchange[];

  beforeAll(async () => {
    const server = await stage.server({ name: title.replaceAll(/\W+/g, '-'), command: serverCommand() });
    const recorded = await record(command(), server);
    const lists = recorded.filter(({ err }) => ownCommand.test(err));
    expect(lists.map(({ typed }) => typed)).toEqual(command() === ourServer ? ['', 'make coffee'] : []);
    seen = recorded.map((one) => ({ ...one, err: one.err.replace(ownCommand, '') }));
  });

  it.each(session.map((words, index) => [words.join(' '), index] as const))('%s', (_typed, index) => {
    expect(seen[index]).toEqual(expected[index]);
  });
});
