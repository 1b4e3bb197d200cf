import { describe, expect, test } from 'vitest';
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../../../proto/gen/spire/api/types/status.ts';
import { serialDecimal } from '../../../../runtime/pki/certificate.ts';
import { createLog } from '../../../../runtime/log.ts';
import type { Connection } from '../../../../runtime/rpc/connection.ts';
import { RpcError, statusCode } from '../../../../runtime/rpc/status.ts';
import { createAgentAuthorizer } from '../../../../runtime/server/api/agent-authorizer.ts';
import { createAuthorizer } from '../../../../runtime/server/api/authorization.ts';
import { methodPolicies } from '../../../../runtime/server/api/method-policy.ts';
import { StoreError } from '../../../../runtime/server/store/errors.ts';
import type { AgentRecord } from '../../../../runtime/server/store/records.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { agentRecord, anonymous, callOf, issueLeaf, local, now, remote } from './callers.ts';
import { rpcRows } from './matrix/rpcs.ts';

const agentId = 'spiffe://example.org/spire/agent/x509pop/a';
const adminId = 'spiffe://example.org/admin';
const entryAdminId = 'spiffe://example.org/entry-admin';
const downstreamId = 'spiffe://example.org/downstream';
const workloadId = 'spiffe://example.org/workload';
const agentLeaf = issueLeaf(agentId);

function createWorld(agents: readonly AgentRecord[] = [agentRecord(agentId, agentLeaf)]) {
  const records = new Map(agents.map((agent) => [agent.spiffeId, agent]));
  const lines: string[] = [];
  const authorizeAgent = createAgentAuthorizer({
    log: createLog({ level: 'info', format: 'text', write: (line) => lines.push(line) }),
    clock: () => now,
    agents: {
      fetchAgent: async (id) => records.get(id),
      promoteAgentSvid: async (id, serial) => {
        const agent = records.get(id);
        if (agent === undefined || agent.newX509SvidSerialNumber !== serial) return undefined;
        const promoted = { ...agent, x509SvidSerialNumber: serial, newX509SvidSerialNumber: '' };
        records.set(id, promoted);
        return promoted;
      },
    },
  });
  const { intercept, callerOf } = createAuthorizer({
    adminIds: [parseSpiffeId(adminId)],
    rightsOf: async (id) => ({ admin: String(id) === entryAdminId, downstream: String(id) === downstreamId }),
    authorizeAgent,
  });
  const call = async (method: string, connection: Connection): Promise<RpcError | undefined> => {
    try {
      await intercept(callOf(method, connection), undefined);
      return undefined;
    } catch (error) {
      if (error instanceof RpcError) return error;
      throw error;
    }
  };
  return { call, callerOf, records, lines };
}

/** Who calls, and the names by which the table lets them through. */
const callers: Record<string, { connection: Connection; is: readonly string[] }> = {
  'a process on the private socket': { connection: local, is: ['any', 'local'] },
  'a peer without a certificate': { connection: anonymous, is: ['any'] },
  'a workload without rights': { connection: remote(workloadId), is: ['any'] },
  'an admin by configuration': { connection: remote(adminId), is: ['any', 'admin'] },
  'an admin by its entry': { connection: remote(entryAdminId), is: ['any', 'admin'] },
  'a downstream server': { connection: remote(downstreamId), is: ['any', 'downstream'] },
  'an agent': { connection: remote(agentId, agentLeaf), is: ['any', 'agent'] },
};

describe('each caller and each method', () => {
  const world = createWorld();
  for (const [name, { connection, is }] of Object.entries(callers)) {
    test.each(rpcRows)(`${name}: $method`, async ({ method, roles, transport }) => {
      const error = await world.call(method, connection);
      if (transport === 'unix' && connection.transport === 'tcp') {
        expect(error?.code).toBe(statusCode.UNIMPLEMENTED);
      } else if (roles.some((one) => is.includes(one))) {
        expect(error).toBeUndefined();
      } else {
        expect(error?.code).toBe(statusCode.PERMISSION_DENIED);
      }
    });
  }

  test('the table has no method that is neither SPIRE’s nor of our fleet API', () => {
    expect([...methodPolicies.keys()].sort()).toEqual(rpcRows.map(({ method }) => method).sort());
  });
});

describe('a method that is not in the table', () => {
  test.each(['/spire.api.server.entry.v1.Entry/Unknown', 'spire.api.server.bundle.v1.Bundle/GetBundle', ''])(
    '%s is refused to everybody',
    async (method) => {
      const { call } = createWorld();
      for (const { connection } of Object.values(callers)) {
        expect(await call(method, connection)).toMatchObject({
          code: statusCode.PERMISSION_DENIED,
          message: `authorization denied for method ${method}`,
        });
      }
    },
  );
});

const renew = '/spire.api.server.agent.v1.Agent/RenewAgent';

/** What every caller reads; the reason is for the log, and, as a number, for an agent. */
const denied = { code: statusCode.PERMISSION_DENIED, message: `authorization denied for method ${renew}` };

function reasonOf(error: RpcError | undefined): number | undefined {
  const [detail] = error?.details ?? [];
  expect(detail?.type).toBe('spire.api.types.PermissionDeniedDetails');
  return detail && PermissionDeniedDetails.decode(detail.value).reason;
}

describe('an agent is refused, with the reason by which it acts,', () => {
  test('when its SVID has expired', async () => {
    const expired = issueLeaf(agentId, now - 1000);
    const error = await createWorld([agentRecord(agentId, expired)]).call(renew, remote(agentId, expired));
    expect(error).toMatchObject({ ...denied, cause: { message: `agent "${agentId}" SVID is expired` } });
    expect(reasonOf(error)).toBe(Reason.AGENT_EXPIRED);
  });

  test('when it is not on record', async () => {
    const error = await createWorld([]).call(renew, remote(agentId, agentLeaf));
    expect(error).toMatchObject({ ...denied, cause: { message: `agent "${agentId}" is not attested` } });
    expect(reasonOf(error)).toBe(Reason.AGENT_NOT_ATTESTED);
  });

  test('when it is banned, whatever its serial number', async () => {
    const error = await createWorld([agentRecord(agentId, agentLeaf, { banned: true })]).call(
      renew,
      remote(agentId, agentLeaf),
    );
    expect(error).toMatchObject({ ...denied, cause: { message: `agent "${agentId}" is banned` } });
    expect(reasonOf(error)).toBe(Reason.AGENT_BANNED);
  });

  test('when another SVID has taken the place of this one', async () => {
    const older = issueLeaf(agentId);
    const error = await createWorld().call(renew, remote(agentId, older));
    const serials = `expected to have serial number "${serialDecimal(agentLeaf)}"; has "${serialDecimal(older)}"`;
    expect(error).toMatchObject({ ...denied, cause: { message: `agent "${agentId}" ${serials}` } });
    expect(reasonOf(error)).toBe(Reason.AGENT_NOT_ACTIVE);
  });

  test('and the log says so in SPIRE’s words, with its ID', async () => {
    const older = issueLeaf(agentId);
    const expired = issueLeaf(agentId, now - 1000);
    const cases = [
      ['Agent SVID is expired', agentRecord(agentId, expired), expired],
      ['Agent is not attested', undefined, agentLeaf],
      ['Agent is banned', agentRecord(agentId, agentLeaf, { banned: true }), agentLeaf],
      ['Agent SVID is not active', agentRecord(agentId, agentLeaf), older],
    ] as const;
    for (const [message, record, leaf] of cases) {
      const { call, lines } = createWorld(record === undefined ? [] : [record]);
      await call(renew, remote(agentId, leaf));
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(new RegExp(`level=error msg="${message}" caller_id="${agentId}" error=`));
    }
  });

  test('when its ID is an agent’s and its record another’s', async () => {
    const other = 'spiffe://example.org/spire/agent/x509pop/b';
    expect(reasonOf(await createWorld().call(renew, remote(other)))).toBe(Reason.AGENT_NOT_ATTESTED);
  });

  test('with no certificate at all, without a reason', async () => {
    const error = await createWorld().call(renew, anonymous);
    expect(error).toMatchObject({ ...denied, details: [], cause: { message: 'caller does not have an X509-SVID' } });
  });
});

describe('a renewed agent SVID', () => {
  const renewed = issueLeaf(agentId);
  const record = agentRecord(agentId, agentLeaf, { newX509SvidSerialNumber: serialDecimal(renewed) });

  test('is taken at its first use, and the one before is refused from then on', async () => {
    const { call } = createWorld([record]);
    expect(await call(renew, remote(agentId, agentLeaf))).toBeUndefined();
    expect(await call(renew, remote(agentId, renewed))).toBeUndefined();
    expect(reasonOf(await call(renew, remote(agentId, agentLeaf)))).toBe(Reason.AGENT_NOT_ACTIVE);
  });

  test('is refused when the agent was banned meanwhile', async () => {
    const { call } = createWorld([{ ...record, banned: true }]);
    expect(reasonOf(await call(renew, remote(agentId, renewed)))).toBe(Reason.AGENT_BANNED);
  });
});

describe('identity', () => {
  test('is never taken from a certificate that the transport did not verify', async () => {
    const unverified: Connection = { transport: 'tcp', address: '127.0.0.1:1', peerChain: [issueLeaf(adminId).der] };
    const error = await createWorld().call('/spire.api.server.entry.v1.Entry/ListEntries', unverified);
    expect(error).toMatchObject({ code: statusCode.UNAUTHENTICATED, message: 'client certificate was not verified' });
  });

  test('is the leaf’s, where leaf and verifier disagree the call is refused', async () => {
    const mixed: Connection = {
      ...(remote(adminId) as Connection & { transport: 'tcp' }),
      peerChain: [issueLeaf(workloadId).der],
    };
    const error = await createWorld().call('/spire.api.server.entry.v1.Entry/ListEntries', mixed);
    expect(error?.code).toBe(statusCode.UNAUTHENTICATED);
  });

  test('of a caller is known to handlers only after the interceptor let the call through', async () => {
    const { callerOf } = createWorld();
    expect(() => callerOf(callOf(renew, remote(adminId)))).toThrow(`authorization denied for method ${renew}`);
  });
});

describe('while the database is away', () => {
  const away = () => Promise.reject(new StoreError('UNAVAILABLE', 'database does not answer'));
  const authorize = (known: AgentRecord | undefined, failure: () => Promise<never> = away) =>
    createAgentAuthorizer({
      clock: () => now,
      agents: { fetchAgent: failure, promoteAgentSvid: failure },
      lastKnown: () => known,
    })({ id: parseSpiffeId(agentId), leaf: agentLeaf });
  const known = agentRecord(agentId, agentLeaf);

  test('an agent counts as this server last knew it', async () => {
    await authorize(known);
  });

  test('an agent that shows its renewed SVID for the first time is served, though that cannot be noted', async () => {
    await authorize({ ...known, x509SvidSerialNumber: '1', newX509SvidSerialNumber: serialDecimal(agentLeaf) });
  });

  test.each([
    ['an agent that was banned', { ...known, banned: true }, statusCode.PERMISSION_DENIED],
    ['an agent with a superseded SVID', { ...known, x509SvidSerialNumber: '1' }, statusCode.PERMISSION_DENIED],
    ['an agent that this server does not know', undefined, statusCode.INTERNAL],
  ])('%s is refused', async (_, record, code) => {
    await expect(authorize(record)).rejects.toMatchObject({ code });
  });

  test('what the database refuses for another reason is no reason to believe what was', async () => {
    const broken = () => Promise.reject(new StoreError('INTERNAL', 'database refused with 42P01'));
    await expect(authorize(known, broken)).rejects.toMatchObject({ code: statusCode.INTERNAL });
  });
});
