// From a change at a server of ours to the workload's open stream, by push alone: the poll of this agent is so slow that no test lives to see it.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createFakeAuthority } from '../../support/fake-authority.ts';
import type { X509SVIDResponse } from '../../../proto/gen/spiffe/workload/workload.ts';
import { RpcError, statusCode } from '../../../runtime/rpc/status.ts';
import { callMetadata as metadata, startAgent } from '../../support/run-agent.ts';
import type { RunningAgent } from '../../support/run-agent.ts';
import { createEntry, runServer, trustDomain } from '../../support/run-server.ts';
import type { RunningTestServer } from '../../support/run-server.ts';

const selectors = [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }];
let server: RunningTestServer;
let agent: RunningAgent;
let agentPath: string;

beforeAll(async () => {
  server = await runServer();
});
afterAll(() => server.close());
beforeEach(async () => {
  const { value } = await server.local.agent.createJoinToken({ ttl: 60, token: '', agentId: undefined });
  agentPath = `/spire/agent/join_token/${value}`;
  agent = await startAgent({ ...server, joinToken: value, syncInterval: '10m' });
  await agent.serving();
});
afterEach(() => agent.remove());

/** Reads a stream in the background. */
function follow() {
  const seen: X509SVIDResponse[] = [];
  const stop = new AbortController();
  const ended = (async () => {
    for await (const response of agent.api.fetchX509Svid({}, { metadata, signal: stop.signal })) seen.push(response);
  })().catch((error: unknown) => error);
  const until = async (holds: () => boolean) => {
    const began = Date.now();
    while (!holds()) {
      if (Date.now() - began > 20_000) throw new Error(`not seen: ${JSON.stringify(ids())}\n${agent.lines.join('')}`);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return Date.now() - began;
  };
  const ids = () => seen.at(-1)?.svids.map(({ spiffeId }) => spiffeId);
  return { ids, until, ended, roots: () => seen.at(-1)?.svids[0]?.bundle.length ?? 0, stop: () => stop.abort() };
}

describe('with a server of ours, at an open stream,', () => {
  it('a new entry and a deleted one are seen', async () => {
    await createEntry(server.local, '/first', agentPath, { selectors });
    const stream = follow();
    await stream.until(() => stream.ids()?.length === 1);
    const second = await createEntry(server.local, '/second', agentPath, { selectors });
    const created = await stream.until(() => stream.ids()?.includes('spiffe://example.org/second') === true);
    await server.local.entry.batchDeleteEntry({ ids: [second.id] });
    const deleted = await stream.until(() => stream.ids()?.length === 1);
    expect(stream.ids()).toEqual(['spiffe://example.org/first']);
    console.log(`new entry at the stream after ${created} ms, deleted entry gone after ${deleted} ms`);
    stream.stop();
  });

  it('an entry that was narrowed away from the workload ends it', async () => {
    const entry = await createEntry(server.local, '/only', agentPath, { selectors });
    const stream = follow();
    await stream.until(() => stream.ids()?.length === 1);
    const narrowed = { ...entry, selectors: [...selectors, { type: 'unix', value: 'uid:4242' }] };
    await server.local.entry.batchUpdateEntry({ entries: [narrowed], inputMask: undefined, outputMask: undefined });
    const error = await stream.ended;
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ code: statusCode.PERMISSION_DENIED, message: 'no identity issued' });
  });

  it('an entry that hangs on the agent by other entries is seen', async () => {
    await createEntry(server.local, '/above', agentPath, { selectors });
    await createEntry(server.local, '/between', agentPath);
    const stream = follow();
    await stream.until(() => stream.ids()?.length === 1);
    await createEntry(server.local, '/below', '/between', { selectors });
    await stream.until(() => stream.ids()?.includes('spiffe://example.org/below') === true);
    stream.stop();
  });

  it('a change of the bundle is seen', async () => {
    await createEntry(server.local, '/bundle', agentPath, { selectors });
    const stream = follow();
    await stream.until(() => stream.ids()?.length === 1);
    const before = stream.roots();
    await server.local.bundle.appendBundle({
      x509Authorities: [{ asn1: createFakeAuthority(trustDomain).roots()[0]!, tainted: false }],
      jwtAuthorities: [],
      witAuthorities: [],
      outputMask: undefined,
    });
    const seen = await stream.until(() => stream.roots() > before);
    console.log(`new authority at the stream after ${seen} ms`);
    stream.stop();
  });
});

it('an agent that is banned hears of it by the end of its watch, and stops', async () => {
  await server.local.agent.banAgent({ id: { trustDomain: 'example.org', path: agentPath } });
  await expect(agent.ended).rejects.toMatchObject({ code: 'BANNED' });
});
