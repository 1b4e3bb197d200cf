// An agent put out so that it may attest again: once, however often it is tried.
import { expect, it } from 'vitest';
import { Agent } from '../../../proto/gen/spire/api/types/agent.ts';
import { notFound } from '../../../runtime/rpc/status.ts';
import { ensureEvicted } from '../../../activities/runbooks/agents.ts';
import type { SpireServer } from '../../../activities/clients/spire-server.ts';

const id = 'spiffe://example.org/spire/agent/aws_iid/1/us-east-1/i-1';

function serverWith(endSeconds: number | undefined) {
  const evicted: string[] = [];
  const agent = {
    async getAgent() {
      if (endSeconds === undefined) throw notFound('agent not found');
      return Agent.create({ x509svidExpiresAt: endSeconds });
    },
    async deleteAgent({ id: asked }: { id: { path: string } | undefined }) {
      if (endSeconds === undefined) throw notFound('agent not found');
      evicted.push(asked?.path ?? '');
      return {};
    },
  };
  return { evicted, server: { agent } as unknown as Pick<SpireServer, 'agent'> };
}

it.each([
  ['is evicted where its SVID is the one that was looked at', 1_000, '1970-01-01T00:16:40.000Z', 1],
  ['that has attested since is left in', 2_000, '1970-01-01T00:16:40.000Z', 0],
  ['that is out already need not go', undefined, '1970-01-01T00:16:40.000Z', 0],
  ['is evicted whatever it has where nobody said', 2_000, undefined, 1],
])('an agent %s', async (_, end, endsAt, times) => {
  const { server, evicted } = serverWith(end);
  await ensureEvicted(server, id, endsAt);
  expect(evicted).toHaveLength(times);
});
