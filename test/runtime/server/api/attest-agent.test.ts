import { describe, expect, test } from 'vitest';
import type { AttestAgentRequest, AttestAgentResponse } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { deniedEvidence, invalidEvidence } from '../../../../runtime/attest/attest-error.ts';
import type { AttestContext, AttestResult, ServerAttestor } from '../../../../runtime/attest/attestor.ts';
import { askedAgainHeader, askedAgainValue } from '../../../../runtime/attest/asked-again.ts';
import { checkFirstUse } from '../../../../runtime/attest/first-use.ts';
import { createCsr, parseCsr } from '../../../../runtime/pki/csr.ts';
import { keyDigestOf } from '../../../../runtime/pki/key-id.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { createAttestAgent } from '../../../../runtime/server/api/attest-agent.ts';
import { createNodeAttestation } from '../../../../runtime/server/attestation.ts';
import { StoreError } from '../../../../runtime/server/store/errors.ts';
import type { AgentRecord } from '../../../../runtime/server/store/records.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { silentLog } from '../../../support/stores.ts';
import { agentRecord, callOf, issueLeaf, now, remote, trustDomain } from './callers.ts';

const csr = createCsr({ signer: signerOf(generateKeyPairSync('ec-p256').privateKey) });
const utf8 = (text: string) => new TextEncoder().encode(text);
const agentId = 'spiffe://example.org/spire/agent/fake/a';

type Attest = ServerAttestor['attest'];

/** An attestor that asks for the answer 42 to the challenge 41, unless the test has another in mind. */
const challenging: Attest = async (_payload, challenge) => {
  const answer = await challenge(utf8('41'));
  if (new TextDecoder().decode(answer) !== '42') throw deniedEvidence('POSSESSION_UNPROVEN', 'challenge not answered');
  return {
    spiffeId: parseSpiffeId(agentId),
    selectors: [
      { type: 'fake', value: 'b' },
      { type: 'fake', value: 'a' },
      { type: 'fake', value: 'a' },
    ],
    canReattest: true,
  };
};

const giving =
  (result: Partial<AttestResult>): Attest =>
  async () => ({ spiffeId: parseSpiffeId(agentId), selectors: [], canReattest: true, ...result });

function createWorld(attest: Attest, records: readonly AgentRecord[] = [], again = false, patienceMs = 60_000) {
  const agents = new Map(records.map((agent) => [agent.spiffeId, agent]));
  const contexts: AttestContext[] = [];
  const leaf = issueLeaf(agentId);
  const handler = createAttestAgent({
    authority: { signAgentX509Svid: async () => ({ chain: [leaf], expiresAt: leaf.notAfter }) },
    agents: {
      fetchAgent: async (id) => agents.get(id),
      saveAgent: async (agent, options) => {
        const known = agents.get(agent.spiffeId);
        const isAgain = options?.again === true && known?.attestedKey === agent.attestedKey;
        if (options?.onlyNew === true && known !== undefined && !isAgain)
          throw new StoreError('CONFLICT', 'agent is known');
        if (agents.get(agent.spiffeId)?.banned === true) throw new StoreError('AGENT_BANNED', 'agent is banned');
        agents.set(agent.spiffeId, agent);
        return agent;
      },
    },
    attest: createNodeAttestation({
      trustDomain,
      attestors: [
        {
          type: 'fake',
          attest: (payload, challenge, context) => {
            contexts.push(context);
            return attest(payload, challenge, context);
          },
        },
      ],
      joinTokens: { fetchJoinToken: async () => undefined, takeJoinToken: async () => undefined },
      clock: () => now,
    }),
    limiter: { admit: async () => undefined },
    log: silentLog,
    patienceMs,
  });
  const context = callOf('/spire.api.server.agent.v1.Agent/AttestAgent', remote('spiffe://example.org/w'));
  if (again) context.metadata.set(askedAgainHeader, askedAgainValue);
  /** Plays the agent: evidence, then an answer for each challenge. */
  const play = async (answers: readonly string[] = []): Promise<AttestAgentResponse[]> => {
    const left = [...answers];
    const responses: AttestAgentResponse[] = [];
    let wake: (() => void) | undefined;
    async function* send(): AsyncGenerator<AttestAgentRequest> {
      yield {
        step: { $case: 'params', value: { data: { type: 'fake', payload: utf8('evidence') }, params: { csr } } },
      };
      while (left.length > 0) {
        await new Promise<void>((resolve) => (wake = resolve));
        yield { step: { $case: 'challengeResponse', value: utf8(left.shift()!) } };
      }
    }
    for await (const response of handler(send(), context)) {
      responses.push(response);
      setImmediate(() => wake?.());
    }
    return responses;
  };
  /** Sends the evidence, if it is told to, and nothing ever after. */
  const stall = async (begins: boolean): Promise<void> => {
    async function* send(): AsyncGenerator<AttestAgentRequest> {
      const data = { type: 'fake', payload: utf8('evidence') };
      if (begins) yield { step: { $case: 'params', value: { data, params: { csr } } } };
      await new Promise<never>(() => undefined);
    }
    for await (const response of handler(send(), context)) expect(response.step?.$case).toBe('challenge');
  };
  return { play, stall, agents, contexts, leaf };
}

test('challenges go to the agent and its answers to the attestor', async () => {
  const { play, agents, leaf } = createWorld(challenging);
  const responses = await play(['42']);
  expect(responses.map(({ step }) => step?.$case)).toEqual(['challenge', 'result']);
  expect(responses[0]?.step).toEqual({ $case: 'challenge', value: utf8('41') });
  expect(responses[1]?.step).toMatchObject({
    value: { reattestable: true, svid: { id: { path: '/spire/agent/fake/a' } } },
  });
  expect(agents.get(agentId)).toEqual(
    agentRecord(agentId, leaf, {
      attestationType: 'fake',
      canReattest: true,
      selectors: [
        { type: 'fake', value: 'a' },
        { type: 'fake', value: 'b' },
      ],
    }),
  );
});

test('the attestor learns the caller’s address from the transport, and whether the agent is known', async () => {
  const { play, contexts } = createWorld(giving({}));
  await play();
  expect(contexts[0]?.clientAddress).toBe('127.0.0.1');
  expect(await contexts[0]?.hasAttested(parseSpiffeId(agentId))).toBe(true);
  expect(await contexts[0]?.hasAttested(parseSpiffeId('spiffe://example.org/spire/agent/fake/b'))).toBe(false);
});

describe('evidence that is taken once', () => {
  const once: Attest = async (_payload, _challenge, context) => {
    await checkFirstUse(parseSpiffeId(agentId), context, { debug: () => undefined, warn: () => undefined });
    return { spiffeId: parseSpiffeId(agentId), selectors: [], canReattest: false };
  };

  test('is taken again for the key that it was taken for, when the agent says that it asks again', async () => {
    const first = createWorld(once);
    await first.play();
    const [record] = first.agents.values();
    expect(record?.attestedKey).toMatch(/^[\w-]{43}$/);
    const second = createWorld(once, [record!], true);
    expect((await second.play()).at(-1)?.step?.$case).toBe('result');
  });

  test.each([
    ['another key', { attestedKey: 'of another' }, true],
    ['an agent that has renewed', {}, true],
    ['who does not say so', { attestedKey: keyDigestOf(parseCsr(csr).spki) }, false],
  ])('is refused to %s', async (_who, patch, again) => {
    const known = { ...agentRecord(agentId, issueLeaf(agentId)), canReattest: false, ...patch };
    const { play, agents } = createWorld(once, [known], again);
    await expect(play()).rejects.toMatchObject({ code: statusCode.PERMISSION_DENIED });
    expect([...agents.values()]).toEqual([known]);
  });
});

describe('nothing is signed or recorded', () => {
  const refused = async (
    world: ReturnType<typeof createWorld>,
    answers: readonly string[],
    error: { code: number; message: string },
  ) => {
    const before = [...world.agents.values()];
    await expect(world.play(answers)).rejects.toMatchObject(error);
    expect([...world.agents.values()]).toEqual(before);
  };

  test('when the challenge is answered wrongly', async () => {
    await refused(createWorld(challenging), ['43'], {
      code: statusCode.PERMISSION_DENIED,
      message: 'challenge not answered',
    });
  });

  test('when the agent leaves the challenge unanswered', async () => {
    await refused(createWorld(challenging), [], {
      code: statusCode.INTERNAL,
      message: 'failed to receive challenge from agent: EOF',
    });
  });

  test.each([
    ['the evidence', false],
    ['the answer', true],
  ])('when %s does not come in time', async (_, begins) => {
    const { stall, agents } = createWorld(challenging, [], false, 200);
    await expect(stall(begins)).rejects.toMatchObject({
      code: statusCode.DEADLINE_EXCEEDED,
      message: 'attestation took too long',
    });
    expect(agents.size).toBe(0);
  });

  test('when the evidence is refused, with the attestor’s code and words', async () => {
    const attest: Attest = async () => {
      throw invalidEvidence('PAYLOAD_MALFORMED', 'payload is not JSON');
    };
    await refused(createWorld(attest), [], { code: statusCode.INVALID_ARGUMENT, message: 'payload is not JSON' });
  });

  test('when the attestor breaks', async () => {
    const attest: Attest = async () => {
      throw new TypeError('x is undefined');
    };
    await refused(createWorld(attest), [], { code: statusCode.INTERNAL, message: 'failed to attest: x is undefined' });
  });

  test('for a banned agent', async () => {
    const world = createWorld(giving({}), [agentRecord(agentId, issueLeaf(agentId), { banned: true })]);
    await refused(world, [], { code: statusCode.PERMISSION_DENIED, message: 'failed to attest: agent is banned' });
  });

  test('for a known agent that may not attest again, even if the attestor let it through', async () => {
    const world = createWorld(giving({ canReattest: false }), [agentRecord(agentId, issueLeaf(agentId))]);
    await refused(world, [], {
      code: statusCode.PERMISSION_DENIED,
      message: 'failed to attest: agent has already been attested',
    });
  });

  test.each([
    ['spiffe://example.org/spire/server', 'agent ID cannot collide with the server ID'],
    [
      'spiffe://example.org/workload',
      'invalid agent ID: "spiffe://example.org/workload" is not in the agent namespace for attestor "fake"',
    ],
    [
      'spiffe://example.org/spire/agent/x509pop/a',
      'invalid agent ID: "spiffe://example.org/spire/agent/x509pop/a" is not in the agent namespace for attestor "fake"',
    ],
    [
      'spiffe://other.org/spire/agent/fake/a',
      'invalid agent ID: "spiffe://other.org/spire/agent/fake/a" is not in the agent namespace for attestor "fake"',
    ],
  ])('for the ID %s', async (id, message) => {
    await refused(createWorld(giving({ spiffeId: parseSpiffeId(id) })), [], { code: statusCode.INTERNAL, message });
  });
});
