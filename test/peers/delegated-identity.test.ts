// A delegate on SPIRE's own Go API asks our agent and SPIRE's the same over their admin sockets, as the delegate, as a workload that is none and as one that
// has no identity: the answers and the refusals are the same, but for what no two agents have alike.
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Answer, Question } from './support/admin-session.ts';
import { nodeIdOf, ourAgent } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { converse } from './support/conversation.ts';
import { eventually } from './support/processes.ts';
import { prepareGoDelegate, prepareSpireAgent } from './support/programs.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
const programs = { delegate: '', other: '', stranger: '' };
const agents = { ours: undefined as SpireAgent | undefined, theirs: undefined as SpireAgent | undefined };
const settings = 'authorized_delegates = ["spiffe://example.org/delegate"]';
const selectors = (label: string) => [{ type: 'docker', value: `label:${label}` }];

beforeAll(async () => {
  const [built, spireAgent] = [await prepareGoDelegate(), await prepareSpireAgent()];
  for (const name of ['delegate', 'other', 'stranger'] as const) {
    programs[name] = join(stage.directory, name);
    copyFileSync(built, programs[name]);
  }
  const server = await stage.server({ name: 'server' });
  for (const [name, command] of [
    ['ours', ourAgent],
    ['theirs', spireAgent],
  ] as const) {
    const entry = (path: string, selector: string, more: object = {}) =>
      server.createEntry({
        parentId: nodeIdOf(name),
        spiffeId: `spiffe://example.org${path}`,
        selectors: [selector],
        ...more,
      });
    await entry('/delegate', `unix:path:${programs.delegate}`);
    await entry('/other', `unix:path:${programs.other}`);
    await entry('/web', 'docker:label:web', { hint: 'front' });
    await entry('/admin', 'docker:label:admin', { admin: true });
    await entry('/below', 'docker:label:below', { downstream: true });
    agents[name] = await stage.agent({ name, server, command, settings });
    await eventually('the delegate', async () => {
      const [first] = await ask(name, 'delegate', [questions[0]!]);
      expect(first?.code).toBe('OK');
    });
  }
});
afterAll(() => stage.strike());

const question = (title: string, method: string, request: object): Question => ({
  title,
  method,
  request: () => request,
});
const delegated = (title: string, method: string, request: object) =>
  question(title, `delegatedidentity.v1.DelegatedIdentity/${method}`, request);
const questions: readonly Question[] = [
  delegated('SVIDs by selectors', 'SubscribeToX509SVIDs', { selectors: selectors('web') }),
  delegated('SVIDs of a process', 'SubscribeToX509SVIDs', { pid: process.pid }),
  delegated('SVIDs of nothing', 'SubscribeToX509SVIDs', {}),
  delegated('SVIDs of both', 'SubscribeToX509SVIDs', { pid: process.pid, selectors: selectors('web') }),
  delegated('SVIDs of a process that is not there', 'SubscribeToX509SVIDs', { pid: 2 ** 22 + 1 }),
  delegated('SVIDs by a selector without a type', 'SubscribeToX509SVIDs', { selectors: [{ value: 'x' }] }),
  delegated('SVIDs by a selector with a colon', 'SubscribeToX509SVIDs', { selectors: [{ type: 'a:b', value: 'x' }] }),
  delegated('SVIDs of an administrator', 'SubscribeToX509SVIDs', { selectors: selectors('admin') }),
  delegated('SVIDs of a downstream server', 'SubscribeToX509SVIDs', { selectors: selectors('below') }),
  delegated('X.509 bundles', 'SubscribeToX509Bundles', {}),
  delegated('JWT-SVID', 'FetchJWTSVIDs', { audience: ['reports'], selectors: selectors('web') }),
  delegated('JWT-SVID without an audience', 'FetchJWTSVIDs', { selectors: selectors('web') }),
  delegated('JWT-SVID of nothing', 'FetchJWTSVIDs', { audience: ['reports'] }),
  delegated('JWT-SVID of nobody', 'FetchJWTSVIDs', { audience: ['reports'], selectors: selectors('none') }),
  delegated('JWT-SVID of an administrator', 'FetchJWTSVIDs', { audience: ['reports'], selectors: selectors('admin') }),
  delegated('JWT-SVID of a downstream server', 'FetchJWTSVIDs', { audience: ['r'], selectors: selectors('below') }),
  delegated('JWT bundles', 'SubscribeToJWTBundles', {}),
  question('logger', 'logger.v1.Logger/GetLogger', {}),
  question('a level that is none', 'logger.v1.Logger/SetLogLevel', { newLevel: 'UNSPECIFIED' }),
];

async function ask(
  agent: keyof typeof agents,
  program: keyof typeof programs,
  asked: readonly Question[],
): Promise<Answer[]> {
  const args = [agents[agent]!.adminSocketPath];
  const answers = await converse({ program: programs[program], args, prefix: '/spire.api.agent.' }, asked);
  return asked.map(({ title }) => shapeOf(answers.get(title)) as Answer);
}

/** Bytes, times and tokens by their kind alone; what is keyed by a trust domain stays keyed. */
function shapeOf(value: unknown, field = ''): unknown {
  if (typeof value === 'string' && /^(certChain|x509SvidKey|token|expiresAt|issuedAt)$/.test(field))
    return `<${field}>`;
  if (Array.isArray(value)) return value.map((item) => shapeOf(item, field));
  if (typeof value !== 'object' || value === null) return value;
  const perDomain = field === 'caCertificates' || field === 'bundles';
  const fields = Object.entries(value).map(([name, inner]): [string, unknown] => [
    name,
    perDomain ? typeof inner : shapeOf(inner, name),
  ]);
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}

describe.each(['delegate', 'other', 'stranger'] as const)('asked by %s', (program) => {
  let ours: ReadonlyMap<string, Answer>;
  let theirs: ReadonlyMap<string, Answer>;
  beforeAll(async () => {
    const byTitle = async (agent: keyof typeof agents) => {
      const answers = await ask(agent, program, questions);
      return new Map(questions.map(({ title }, i) => [title, answers[i]!]));
    };
    theirs = await byTitle('theirs');
    ours = await byTitle('ours');
  });

  it.each(questions.map(({ title }) => title))('%s', (title) => {
    expect(ours.get(title)).toEqual(theirs.get(title));
  });

  it('the delegate alone gets identities', () => {
    const { code, message } = theirs.get('SVIDs by selectors')!;
    expect({ code, message }).toEqual(
      {
        delegate: { code: 'OK', message: '' },
        other: { code: 'PermissionDenied', message: 'caller not configured as an authorized delegate' },
        stranger: { code: 'PermissionDenied', message: 'no identity issued' },
      }[program],
    );
  });
});
