// What an agent asks its server for services, and what it tells them, apart from both: who calls is said here. End to end: test/runtime/service-scheme.
import { describe, expect, it } from 'vitest';
import { createServiceBroker } from '../../../runtime/agent/broker/service-broker.ts';
import type { ServerSide } from '../../../runtime/agent/broker/service-broker.ts';
import type { AgentEntry } from '../../../runtime/agent/sync/entry.ts';
import { checkSecurityHeader } from '../../../runtime/agent/workload-api/service.ts';
import { createLog } from '../../../runtime/log.ts';
import { RpcError, permissionDenied, statusCode, unavailable } from '../../../runtime/rpc/status.ts';
import { refuseAgent } from '../../../runtime/server/api/agent-authorizer.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { callOf, local } from '../server/api/callers.ts';

const entry = (id: string, path: string) =>
  ({ id, spiffeId: parseSpiffeId(`spiffe://example.org${path}`) }) as AgentEntry;
const identity = {
  entryId: 'given',
  spiffeId: { trustDomain: 'example.org', path: '/service/metald/customer/a' },
  templateEntryId: 'metald',
  agentId: undefined,
  distinguisher: 'unix:uid:1',
  expiresAt: 99,
};
const method = '/espalier.service.v1.ServiceBroker/GiveIdentity';
const context = callOf(method, local);
const request = { service: '', kind: 'customer', id: 'a', pid: 7 };

function broker(entries: readonly AgentEntry[], server: Partial<ServerSide> = {}) {
  const asked: unknown[] = [];
  const api = createServiceBroker({
    admission: {
      admitKnown: () => Promise.resolve([{ type: 'unix', value: 'uid:1' }]),
      noIdentity: () => permissionDenied('no identity issued'),
    },
    callers: { attestProcess: (pid) => Promise.resolve([{ type: 'unix', value: `uid:${pid}` }]) },
    cache: { matching: () => entries },
    demand: { newerEntries: () => Promise.resolve() },
    server: () => ({
      async deriveIdentity(given) {
        asked.push(given);
        return { identity };
      },
      async withdrawIdentity(given) {
        asked.push(given);
        return { withdrawn: 1 };
      },
      ...server,
    }),
    log: createLog({ level: 'error', format: 'text', write: () => undefined }),
  });
  return { api, asked };
}

describe('a caller is refused', () => {
  const metald = entry('metald', '/service/metald');
  it.each<[string, readonly AgentEntry[], object, number, string]>([
    ['without an identity', [], {}, statusCode.PERMISSION_DENIED, 'no identity issued'],
    [
      'that is no service',
      [entry('w', '/prod/w'), entry('below', '/service/metald/customer/a')],
      {},
      statusCode.PERMISSION_DENIED,
      'caller is no service: its SPIFFE ID is not /service/<name>',
    ],
    [
      'that says it is another service',
      [metald],
      { service: 'builderd' },
      statusCode.PERMISSION_DENIED,
      'caller is not the service "builderd"',
    ],
    [
      'that is several and names none',
      [metald, entry('b', '/service/builderd')],
      {},
      statusCode.INVALID_ARGUMENT,
      'caller is several services, name one of them: builderd, metald',
    ],
    ['without a process', [metald], { pid: 0 }, statusCode.INVALID_ARGUMENT, 'pid is 0, want that of a process'],
    ['with less than one', [metald], { pid: -1 }, statusCode.INVALID_ARGUMENT, 'pid is -1, want that of a process'],
    [
      'for what is neither',
      [metald],
      { kind: 'admin' },
      statusCode.INVALID_ARGUMENT,
      'invalid subject: kind "admin" is neither customer nor tenant',
    ],
    [
      'for an id that climbs',
      [metald],
      { id: '..' },
      statusCode.INVALID_ARGUMENT,
      'invalid subject: path cannot contain dot segments',
    ],
  ])('%s', async (_, entries, patch, code, message) => {
    const { api, asked } = broker(entries);
    await expect(api.giveIdentity!({ ...request, ...patch }, context)).rejects.toMatchObject({ code, message });
    expect(asked).toEqual([]);
  });

  it.each([{}, { 'workload.spiffe.io': 'false' }])('with the metadata %j', async (metadata) => {
    const made = callOf(method, local);
    for (const [name, value] of Object.entries(metadata)) made.metadata.set(name, value);
    await expect(checkSecurityHeader(made, request)).rejects.toMatchObject({
      code: statusCode.INVALID_ARGUMENT,
      message: 'security header missing from request',
    });
  });
});

describe('what the server says is told', () => {
  const refusals: [string, RpcError, number, string][] = [
    [
      'of a plain SPIRE',
      new RpcError(statusCode.UNIMPLEMENTED, 'unknown service'),
      statusCode.FAILED_PRECONDITION,
      'server has no service identities: it is plain SPIRE, or an older one',
    ],
    [
      'of a missing template',
      new RpcError(statusCode.NOT_FOUND, 'template not found or not authorized'),
      statusCode.PERMISSION_DENIED,
      'service has no template: an administrator has not let it give identities',
    ],
    [
      'of a verdict, as it is',
      new RpcError(statusCode.ALREADY_EXISTS, 'unix:uid:1 has another identity on this node'),
      statusCode.ALREADY_EXISTS,
      'unix:uid:1 has another identity on this node',
    ],
    [
      'of the agent itself, to nobody',
      refuseAgent(2, 'agent "x" is banned'),
      statusCode.UNAVAILABLE,
      'server cannot be asked',
    ],
    ['of a fault', unavailable('database connection failed'), statusCode.UNAVAILABLE, 'server cannot be asked'],
  ];
  it.each(refusals)('%s', async (_, error, code, message) => {
    const { api } = broker([entry('metald', '/service/metald')], { deriveIdentity: () => Promise.reject(error) });
    await expect(api.giveIdentity!(request, context)).rejects.toMatchObject({ code, message });
  });
});

describe('a service', () => {
  it('is asked for with its own entry and what the process is', async () => {
    const { api, asked } = broker([entry('other', '/prod/w'), entry('metald', '/service/metald')]);
    expect(await api.giveIdentity!(request, context)).toEqual({
      spiffeId: identity.spiffeId,
      entryId: 'given',
      expiresAt: 99,
    });
    expect(asked).toEqual([
      { templateEntryId: 'metald', kind: 'customer', id: 'a', selectors: [{ type: 'unix', value: 'uid:7' }] },
    ]);
  });

  it('of several entries uses the one that has a template', async () => {
    const tried: string[] = [];
    const { api } = broker([entry('m1', '/service/metald'), entry('m2', '/service/metald')], {
      async deriveIdentity({ templateEntryId }) {
        tried.push(templateEntryId);
        if (templateEntryId === 'm1') throw new RpcError(statusCode.NOT_FOUND, 'template not found or not authorized');
        return { identity };
      },
    });
    await api.giveIdentity!(request, context);
    expect(tried).toEqual(['m1', 'm2']);
  });

  it('takes identities back', async () => {
    const { api, asked } = broker([entry('metald', '/service/metald')]);
    const taken = await api.takeIdentity!({ service: 'metald', kind: 'tenant', id: 'acme', entryId: '' }, context);
    expect(taken).toEqual({ withdrawn: 1 });
    expect(asked).toEqual([{ templateEntryId: 'metald', kind: 'tenant', id: 'acme', entryId: '' }]);
  });
});
