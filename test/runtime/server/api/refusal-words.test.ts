// What the API says to requests that are wrong in one place, word for word as SPIRE 1.15.3's services say it; where ours differs, the row says why.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  BatchDeleteFederatedBundleRequest,
  BatchUpdateFederatedBundleRequest,
} from '../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { CountAgentsRequest, ListAgentsRequest } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { CountEntriesRequest, ListEntriesRequest } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { Bundle } from '../../../../proto/gen/spire/api/types/bundle.ts';
import { RpcError, statusName } from '../../../../runtime/rpc/status.ts';
import { createEntry, runServer } from '../../../support/run-server.ts';
import type { Clients, RunningTestServer } from '../../../support/run-server.ts';

let server: RunningTestServer;
beforeAll(async () => {
  server = await runServer();
  const { results } = await server.local.bundle.batchCreateFederatedBundle({
    bundle: [Bundle.create({ trustDomain: 'used.org' }), Bundle.create({ trustDomain: 'idle.org' })],
    outputMask: undefined,
  });
  expect(results.map(({ status }) => status?.code)).toEqual([0, 0]);
  await createEntry(server.local, '/federated', '/node', { federatesWith: ['used.org'] });
});
afterAll(() => server.close());

const id = (path: string, trustDomain = 'example.org') => ({ trustDomain, path });

const calls: readonly (readonly [name: string, act: (to: Clients) => Promise<unknown>, answer: string])[] = [
  [
    'a token that is none',
    (to) => to.entry.listEntries(ListEntriesRequest.create({ pageSize: 1, pageToken: 'x' })),
    // SPIRE says INTERNAL: it is the caller's fault.
    "INVALID_ARGUMENT failed to list entries: could not parse token 'x'",
  ],
  [
    'a negative page size is no page size, and the token does not count',
    (to) => to.entry.listEntries(ListEntriesRequest.create({ pageSize: -1, pageToken: 'x' })),
    'OK',
  ],
  ['the largest page size', (to) => to.agent.listAgents(ListAgentsRequest.create({ pageSize: 2 ** 31 - 1 })), 'OK'],
  [
    'a filter by a parent of another trust domain',
    (to) => to.entry.countEntries(CountEntriesRequest.create({ filter: { byParentId: id('/a', 'other.org') } })),
    'INVALID_ARGUMENT malformed parent ID filter: "spiffe://other.org/a" is not a member of trust domain "example.org"',
  ],
  [
    'a filter by a reserved ID',
    (to) => to.entry.listEntries(ListEntriesRequest.create({ filter: { bySpiffeId: id('/spire/server') } })),
    'INVALID_ARGUMENT malformed SPIFFE ID filter: "spiffe://example.org/spire/server" is not a workload in trust domain "example.org"; path is in the reserved namespace',
  ],
  [
    'a filter by no selectors',
    (to) => to.entry.listEntries(ListEntriesRequest.create({ filter: { bySelectors: { selectors: [] } } })),
    'INVALID_ARGUMENT malformed selectors filter: empty selector set',
  ],
  [
    'a filter by no trust domains',
    (to) => to.entry.countEntries(CountEntriesRequest.create({ filter: { byFederatesWith: { trustDomains: [] } } })),
    'INVALID_ARGUMENT malformed federates with filter: empty trust domain set',
  ],
  [
    'a filter of agents by half a selector',
    (to) =>
      to.agent.countAgents(
        CountAgentsRequest.create({ filter: { bySelectorMatch: { selectors: [{ type: '', value: 'x' }] } } }),
      ),
    'INVALID_ARGUMENT failed to parse selectors: missing selector type',
  ],
  [
    'a filter of agents by a time that is none',
    (to) => to.agent.listAgents(ListAgentsRequest.create({ filter: { byExpiresBefore: 'soon' } })),
    // SPIRE passes over it and lists as if nothing had been asked.
    'INVALID_ARGUMENT failed to parse filter: parsing time "soon" as "2006-01-02 15:04:05 -0700 -07": cannot parse it',
  ],
  [
    'an agent whose ID is a workload’s',
    (to) => to.agent.getAgent({ id: id('/workload'), outputMask: undefined }),
    'INVALID_ARGUMENT invalid agent ID: "spiffe://example.org/workload" is not an agent in trust domain "example.org"; path is not in the agent namespace',
  ],
  [
    'an agent that is not there',
    (to) => to.agent.deleteAgent({ id: id('/spire/agent/x/y') }),
    'NOT_FOUND agent not found',
  ],
  ['a ban of nobody', (to) => to.agent.banAgent({ id: id('/spire/agent/x/y') }), 'NOT_FOUND agent not found'],
  [
    'an entry that is not there',
    (to) => to.entry.getEntry({ id: 'x', outputMask: undefined }),
    'NOT_FOUND entry not found',
  ],
  [
    'a token for an alias in the reserved namespace',
    (to) => to.agent.createJoinToken({ ttl: 1, token: '', agentId: id('/spire/agent/x') }),
    'INVALID_ARGUMENT invalid agent ID: "spiffe://example.org/spire/agent/x" is not a workload in trust domain "example.org"; path is in the reserved namespace',
  ],
  [
    'our own bundle as a federated one',
    (to) => to.bundle.getFederatedBundle({ trustDomain: 'example.org', outputMask: undefined }),
    "INVALID_ARGUMENT getting a federated bundle for the server's own trust domain is not allowed",
  ],
  [
    'a federated bundle that is not there',
    (to) => to.bundle.getFederatedBundle({ trustDomain: 'nobody.org', outputMask: undefined }),
    'NOT_FOUND bundle not found',
  ],
  [
    'a way to delete that nobody knows',
    (to) => to.bundle.batchDeleteFederatedBundle({ trustDomains: ['idle.org'], mode: 7 as never }),
    'INVALID_ARGUMENT failed to parse deletion mode: unhandled delete mode "7"',
  ],
  [
    'a JWT-SVID for nobody in particular',
    (to) => to.svid.mintJwtsvid({ id: id('/w'), audience: [], ttl: 0 }),
    'INVALID_ARGUMENT at least one audience is required',
  ],
  [
    'a CSR that is none',
    (to) => to.svid.mintX509Svid({ csr: Uint8Array.of(1), ttl: 0 }),
    'INVALID_ARGUMENT malformed CSR: …',
  ],
];

describe('a call', () => {
  test.each(calls)('with %s', async (_, act, answer) => {
    const outcome = await act(server.local).then(
      () => 'OK',
      (error: unknown) => (error instanceof RpcError ? `${statusName(error.code)} ${error.message}` : String(error)),
    );
    if (answer.endsWith('…')) expect(outcome.startsWith(answer.slice(0, -1)), outcome).toBe(true);
    else expect(outcome).toBe(answer);
  });
});

interface Item {
  readonly status?: { readonly code: number; readonly message: string } | undefined;
}

const items: readonly (readonly [
  name: string,
  act: (to: Clients) => Promise<{ results: Item[] }>,
  answers: string[],
])[] = [
  [
    'deletes of entries',
    (to) => to.entry.batchDeleteEntry({ ids: ['', 'x'] }),
    ['INVALID_ARGUMENT missing entry ID', 'NOT_FOUND entry not found'],
  ],
  [
    'deletes of bundles',
    (to) =>
      to.bundle.batchDeleteFederatedBundle(
        BatchDeleteFederatedBundleRequest.create({
          trustDomains: ['example.org', 'Not valid', 'nobody.org', 'used.org', 'idle.org'],
        }),
      ),
    [
      'INVALID_ARGUMENT removing the bundle for the server trust domain is not allowed',
      'INVALID_ARGUMENT trust domain argument is not valid: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores',
      'NOT_FOUND bundle not found',
      'FAILED_PRECONDITION failed to delete federated bundle: datastore-sql: cannot delete bundle; federated with 1 registration entries',
      'OK OK',
    ],
  ],
  [
    'updates of bundles',
    (to) =>
      to.bundle.batchUpdateFederatedBundle(
        BatchUpdateFederatedBundleRequest.create({
          bundle: [{ trustDomain: 'example.org' }, { trustDomain: 'nobody.org' }].map((one) => Bundle.create(one)),
        }),
      ),
    [
      "INVALID_ARGUMENT updating a federated bundle for the server's own trust domain is not allowed",
      'NOT_FOUND bundle not found',
    ],
  ],
];

describe('each item of a batch has its own answer:', () => {
  test.each(items)('%s', async (_, act, answers) => {
    const { results } = await act(server.local);
    expect(results.map(({ status }) => `${statusName(status!.code)} ${status!.message}`)).toEqual(answers);
  });
});
