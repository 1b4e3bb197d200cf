// The gate of many agents at once: all of them by the server's own list, and whoever is missing by name.
import { describe, expect, it } from 'vitest';
import { checkAgents } from '../../../activities/control/entries.ts';
import type { ListAgentsRequest } from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { Agent } from '../../../proto/gen/spire/api/types/agent.ts';

const now = 1_000_000;
const path = (node: string): string => `/spire/agent/k8s_psat/shop/${node}`;
const wanted = (...nodes: string[]) => nodes.map((name) => ({ name, agentId: `spiffe://example.org${path(name)}` }));

/** A server that answers in pages of one. */
function serverWith(...agents: { node: string; banned?: boolean; expiresAt?: number }[]) {
  const asked: ListAgentsRequest[] = [];
  const listAgents = (request: ListAgentsRequest) => {
    asked.push(request);
    const at = Number(request.pageToken);
    const page = agents
      .slice(at, at + 1)
      .map(({ node, banned = false, expiresAt = now / 1000 + 60 }) =>
        Agent.create({ id: { trustDomain: 'example.org', path: path(node) }, banned, x509svidExpiresAt: expiresAt }),
      );
    return Promise.resolve({ agents: page, nextPageToken: at + 1 < agents.length ? String(at + 1) : '' });
  };
  return { agent: { listAgents } as unknown as Parameters<typeof checkAgents>[0]['agent'], asked };
}

const check = (server: ReturnType<typeof serverWith>, agents: ReturnType<typeof wanted>) =>
  checkAgents(server, { method: 'k8s_psat', agents }, now);

describe('checkAgents', () => {
  it('is content when the server lists every one of them, on whatever page, by that method', async () => {
    const server = serverWith({ node: 'a' }, { node: 'b' }, { node: 'other' });
    await expect(check(server, wanted('b', 'a'))).resolves.toBeUndefined();
    expect(server.asked.map(({ filter }) => filter?.byAttestationType)).toEqual(['k8s_psat', 'k8s_psat', 'k8s_psat']);
  });

  it('names who has not attested, and whose SVID has ended', async () => {
    const server = serverWith({ node: 'a' }, { node: 'b', expiresAt: now / 1000 });
    await expect(check(server, wanted('a', 'b', 'c'))).rejects.toMatchObject({
      type: 'NotReady',
      message:
        '2 of 3 agents hold no SVID by k8s_psat: b (spiffe://example.org/spire/agent/k8s_psat/shop/b), c (spiffe://example.org/spire/agent/k8s_psat/shop/c)',
    });
  });

  it('names ten of many', async () => {
    const many = wanted(...Array.from({ length: 12 }, (_, index) => `n${index}`));
    await expect(check(serverWith(), many)).rejects.toThrow(/^12 of 12 agents .* n9 \(\S+\) and 2 more$/);
  });

  it('ends the wait for one that is banned', async () => {
    await expect(check(serverWith({ node: 'a', banned: true }), wanted('a'))).rejects.toMatchObject({
      type: 'AttestationRejected',
      nonRetryable: true,
      message: 'agents of a are banned',
    });
  });
});
