// An administrator in Go on the SPIRE project's own API asks our server what it asks SPIRE's: both must answer alike, call by call.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { methodPolicies } from '../../runtime/server/api/method-policy.ts';
import { conduct } from './support/admin-client.ts';
import { adminSession } from './support/admin-session.ts';
import type { Answer } from './support/admin-session.ts';
import { nodeIdOf } from './support/agent.ts';
import { eventually } from './support/processes.ts';
import { prepareGoAdmin, prepareSpireServer } from './support/programs.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const stage = createStage();
let theirs: readonly Answer[];
let ours: readonly Answer[];

async function session(name: string, program: string, command?: string): Promise<Answer[]> {
  const server = await stage.server({ name, ...(command === undefined ? {} : { command }) });
  const admin = ['-parentID', nodeIdOf(name), '-spiffeID', 'spiffe://example.org/admin', '-admin'];
  await server.operate('entry', 'create', ...admin, '-selector', ownUid);
  const agent = await stage.agent({ name, server });
  // Our agent writes to its log whom it signed for; SPIRE's server makes an administrator of an entry within its cache's interval.
  return eventually(
    'an administrator',
    async () => {
      const [first] = await conduct(program, agent, server, adminSession.slice(3, 4));
      if (first?.code !== 'OK') throw new Error(`not yet: ${first?.code ?? ''} ${first?.message ?? ''}`);
      return conduct(program, agent, server, adminSession);
    },
    60_000,
  );
}

beforeAll(async () => {
  const program = await prepareGoAdmin();
  theirs = await session('theirs', program, await prepareSpireServer());
  ours = await session('ours', program);
});
afterAll(() => stage.strike());

const stateAtLast: Answer = {
  code: 'OK',
  message: '',
  response: { active: { authorityId: '<authorityId>', expiresAt: '<expiresAt>' } },
};

/** Where we judge otherwise, or say it in words of our own; the README lists why. */
const ourOwn: Readonly<Record<string, Answer>> = {
  'list agents by no selectors': { code: 'InvalidArgument', message: 'failed to parse selectors: empty selector set' },
  'make it again': { code: 'AlreadyExists', message: 'failed to create token: a record with this key exists' },
  'append what is none': {
    code: 'InvalidArgument',
    message: 'failed to convert X.509 authority: certificate does not decode: end-of-contents tag at byte 0',
  },
  'mint by what is no request': {
    code: 'InvalidArgument',
    message: 'malformed CSR: request does not decode: end-of-contents tag at byte 0',
  },
  // What was revoked is in no slot any more.
  'JWT: state at last': stateAtLast,
  'X509: state at last': stateAtLast,
};

describe('an administrator in Go', () => {
  it('makes every call that SPIRE’s API lets an administrator make', () => {
    const made = new Set(adminSession.map(({ method }) => `/spire.api.server.${method}`));
    const may = [...methodPolicies].flatMap(([method, { roles }]) => (roles.includes('admin') ? [method] : []));
    expect(may.filter((method) => method.startsWith('/spire.') && !made.has(method))).toEqual([]);
  });

  it.each(adminSession.map(({ title }, index) => [title, index] as const))('%s', (title, index) => {
    expect(ours[index]).toEqual(ourOwn[title] ?? theirs[index]);
  });
});
