import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  BatchNewWITSVIDRequest,
  BatchNewWITSVIDResponse,
  BatchNewX509SVIDRequest,
  BatchNewX509SVIDResponse,
} from '../../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import {
  BatchCreateEntryRequest,
  BatchCreateEntryResponse,
  BatchUpdateEntryRequest,
  BatchUpdateEntryResponse,
  ListEntriesRequest,
} from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import {
  AttestAgentRequest,
  AttestAgentResponse,
  CreateJoinTokenRequest,
} from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import {
  BatchDeleteFederatedBundleRequest,
  BatchDeleteFederatedBundleResponse,
} from '../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { Entry, EntryMask } from '../../../../proto/gen/spire/api/types/entry.ts';
import type { Logger } from '../../../../runtime/log.ts';
import { serialDecimal } from '../../../../runtime/pki/certificate.ts';
import type { CallContext } from '../../../../runtime/rpc/call-context.ts';
import type { Connection } from '../../../../runtime/rpc/connection.ts';
import { readStartTime } from '../../../../runtime/rpc/process-start.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import { createAuditLog } from '../../../../runtime/server/api/audit-log.ts';
import type { Grant } from '../../../../runtime/server/api/authorization.ts';
import { parseSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { createTestCa } from '../../rpc/test-ca.ts';

const remote: Connection = {
  transport: 'tcp',
  address: '10.0.0.1:4242',
  peerChain: [],
  peerId: parseSpiffeId('spiffe://example.org/admin'),
};
const admin: Grant = { authorized_as: 'admin', authorized_via: 'config' };

interface Call {
  readonly method: string;
  readonly request?: unknown;
  readonly response?: unknown;
  readonly code?: number;
  readonly message?: string;
  readonly connection?: Connection;
  readonly grant?: Grant | undefined;
}

/** The lines of one call, without what is different each time. */
function linesOf({ method, connection = remote, code = statusCode.OK, message = '', ...call }: Call) {
  const lines: Record<string, unknown>[] = [];
  const log = { info: (fields: object, text: string) => lines.push({ ...fields, msg: text }) } as unknown as Logger;
  const audit = createAuditLog(log);
  const context = { connection, method } as CallContext;
  const grant = 'grant' in call ? call.grant : admin;
  if (grant !== undefined) audit.granted(context, grant);
  const { request, response } = call;
  audit.observe(method).ended({ context, request, response, code, message, startedAt: 0 });
  return lines.map((line) => {
    const { request_id: requestId, ...others } = Object.fromEntries(
      Object.entries(line).filter(([, value]) => value !== undefined),
    );
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    return others;
  });
}

const base = {
  msg: 'API accessed',
  type: 'audit',
  ...admin,
  caller_addr: '10.0.0.1:4242',
  caller_id: 'spiffe://example.org/admin',
};
const id = (path: string) => ({ trustDomain: 'example.org', path });

describe('the audit log', () => {
  it('has a line for a call, with what was asked', () => {
    const request = ListEntriesRequest.fromPartial({
      filter: { byParentId: id('/p'), bySelectors: { match: 1, selectors: [{ type: 'unix', value: 'uid:1' }] } },
    });
    expect(linesOf({ method: '/spire.api.server.entry.v1.Entry/ListEntries', request, response: {} })).toEqual([
      {
        ...base,
        service: 'entry.v1.Entry',
        method: 'ListEntries',
        parent_id: 'spiffe://example.org/p',
        by_selector_match: 'MATCH_SUBSET',
        by_selectors: 'unix:uid:1',
        status: 'success',
      },
    ]);
  });

  it('has the status of a call that failed after it was let through', () => {
    const request = CreateJoinTokenRequest.fromPartial({ ttl: 60, token: 'secret', agentId: id('/node') });
    expect(
      linesOf({
        method: '/spire.api.server.agent.v1.Agent/CreateJoinToken',
        request,
        code: statusCode.INTERNAL,
        message: 'failed',
      }),
    ).toEqual([
      {
        ...base,
        service: 'agent.v1.Agent',
        method: 'CreateJoinToken',
        ttl: 60,
        spiffe_id: 'spiffe://example.org/node',
        status: 'error',
        status_code: 'Internal',
        status_message: 'failed',
      },
    ]);
  });

  it('does not look into what nobody was let through to do', () => {
    const request = CreateJoinTokenRequest.fromPartial({ ttl: 60, agentId: id('/node') });
    const [line] = linesOf({
      method: '/spire.api.server.agent.v1.Agent/CreateJoinToken',
      request,
      grant: undefined,
      code: statusCode.PERMISSION_DENIED,
      message: 'authorization denied for method /spire.api.server.agent.v1.Agent/CreateJoinToken',
      connection: { transport: 'tcp', address: '10.0.0.1:4242', peerChain: [] },
    });
    expect(line).toEqual({
      msg: 'API accessed',
      type: 'audit',
      caller_addr: '10.0.0.1:4242',
      service: 'agent.v1.Agent',
      method: 'CreateJoinToken',
      status: 'error',
      status_code: 'PermissionDenied',
      status_message: 'authorization denied for method /spire.api.server.agent.v1.Agent/CreateJoinToken',
    });
  });

  it('names a local caller by user, group and program', () => {
    const connection: Connection = {
      transport: 'unix',
      pid: process.pid,
      uid: 7,
      gid: 8,
      startTime: readStartTime(process.pid)!,
    };
    const [line] = linesOf({
      method: '/spire.api.server.bundle.v1.Bundle/CountBundles',
      connection,
      grant: { authorized_as: 'local', authorized_via: 'transport' },
    });
    expect(line).toMatchObject({
      caller_uid: 7,
      caller_gid: 8,
      caller_path: process.execPath,
      authorized_via: 'transport',
    });
  });

  it('does not name the program of a process that took the pid over', () => {
    const connection: Connection = { transport: 'unix', pid: process.pid, uid: 7, gid: 8, startTime: '1' };
    const [line] = linesOf({ method: '/spire.api.server.bundle.v1.Bundle/CountBundles', connection });
    expect(line).not.toHaveProperty('caller_path');
  });

  it('has a line for each WIT-SVID of a batch, with why it was refused', () => {
    const request = BatchNewWITSVIDRequest.fromPartial({ params: [{ entryId: 'e1' }, { entryId: 'e2' }] });
    const refused = { code: 5, message: 'entry not found or not authorized' };
    const response = BatchNewWITSVIDResponse.fromPartial({
      results: [{ status: refused }, { status: { code: 13, message: 'failed to sign WIT-SVID' } }],
    });
    const lines = linesOf({ method: '/spire.api.server.svid.v1.SVID/BatchNewWITSVID', request, response });
    expect(lines).toMatchObject([
      { entry_id: 'e1', status: 'error', status_message: 'entry not found or not authorized' },
      { entry_id: 'e2', status: 'error', status_message: 'failed to sign WIT-SVID' },
    ]);
  });

  it('has a line for each SVID of a batch, issued or refused, with its serial number and never the CSR', () => {
    const { certificate } = createTestCa('example.org').issue('/workload');
    const request = BatchNewX509SVIDRequest.fromPartial({
      params: [
        { entryId: 'e1', csr: Buffer.from('csr') },
        { entryId: 'e2', csr: Buffer.from('csr') },
      ],
    });
    const response = BatchNewX509SVIDResponse.fromPartial({
      results: [
        {
          status: { code: 0, message: 'OK' },
          svid: { id: id('/workload'), certChain: [certificate.der], expiresAt: 1 },
        },
        { status: { code: 5, message: 'entry not found or not authorized' } },
      ],
    });
    const csr = createHash('sha256').update('csr').digest('hex');
    const lines = linesOf({ method: '/spire.api.server.svid.v1.SVID/BatchNewX509SVID', request, response });
    expect(lines).toEqual([
      {
        ...base,
        service: 'svid.v1.SVID',
        method: 'BatchNewX509SVID',
        csr,
        entry_id: 'e1',
        spiffe_id: 'spiffe://example.org/workload',
        serial_num: serialDecimal(certificate),
        expires_at: Math.floor(certificate.notAfter / 1000),
        status: 'success',
      },
      {
        ...base,
        service: 'svid.v1.SVID',
        method: 'BatchNewX509SVID',
        csr,
        entry_id: 'e2',
        status: 'error',
        status_code: 'NotFound',
        status_message: 'entry not found or not authorized',
      },
    ]);
  });

  it('has a line for each entry of a batch, with the id that it got', () => {
    const wire = Entry.fromPartial({
      spiffeId: id('/w'),
      parentId: id('/p'),
      selectors: [
        { type: 'a', value: 'b' },
        { type: 'c', value: 'd' },
      ],
      admin: true,
    });
    const lines = linesOf({
      method: '/spire.api.server.entry.v1.Entry/BatchCreateEntry',
      request: BatchCreateEntryRequest.fromPartial({ entries: [wire, {}] }),
      response: BatchCreateEntryResponse.fromPartial({
        results: [
          { status: { code: 0, message: 'OK' }, entry: { id: 'new' } },
          { status: { code: 3, message: 'missing' } },
        ],
      }),
    });
    expect(lines).toMatchObject([
      {
        entry_id: 'new',
        spiffe_id: 'spiffe://example.org/w',
        parent_id: 'spiffe://example.org/p',
        selectors: 'a:b,c:d',
        admin: true,
        status: 'success',
      },
      { status: 'error', status_code: 'InvalidArgument', status_message: 'missing' },
    ]);
  });

  it('shows of an update only what it changes', () => {
    const [line] = linesOf({
      method: '/spire.api.server.entry.v1.Entry/BatchUpdateEntry',
      request: BatchUpdateEntryRequest.fromPartial({
        entries: [{ id: 'e', hint: 'h', admin: true }],
        inputMask: EntryMask.fromPartial({ hint: true }),
      }),
      response: BatchUpdateEntryResponse.fromPartial({ results: [{ status: { code: 0, message: 'OK' } }] }),
    });
    expect(line).toEqual({
      ...base,
      service: 'entry.v1.Entry',
      method: 'BatchUpdateEntry',
      entry_id: 'e',
      hint: 'h',
      status: 'success',
    });
  });

  it('names the node of an attestation and its attestor, and holds nothing of the evidence', () => {
    const { certificate } = createTestCa('example.org').issue('/spire/agent/x509pop/a');
    const [line] = linesOf({
      method: '/spire.api.server.agent.v1.Agent/AttestAgent',
      grant: {},
      request: AttestAgentRequest.fromPartial({
        step: { $case: 'params', value: { data: { type: 'x509pop', payload: Buffer.from('evidence') } } },
      }),
      response: AttestAgentResponse.fromPartial({
        step: { $case: 'result', value: { svid: { id: id('/spire/agent/x509pop/a'), certChain: [certificate.der] } } },
      }),
    });
    expect(line).toMatchObject({
      node_attestor_type: 'x509pop',
      agent_id: 'spiffe://example.org/spire/agent/x509pop/a',
      serial_num: serialDecimal(certificate),
    });
    expect(JSON.stringify(line)).not.toContain('evidence');
    expect(line).not.toHaveProperty('authorized_as');
  });

  it('names the authority that an act is about', () => {
    const local = '/spire.api.server.localauthority.v1.LocalAuthority/';
    expect(linesOf({ method: `${local}TaintX509Authority`, request: { authorityId: 'ab' } })[0]).toMatchObject({
      local_authority_id: 'ab',
    });
    expect(
      linesOf({ method: `${local}RevokeX509UpstreamAuthority`, request: { subjectKeyId: 'cd' } })[0],
    ).toMatchObject({ subject_key_id: 'cd' });
  });

  it('names trust domain and mode of a deletion', () => {
    const lines = linesOf({
      method: '/spire.api.server.bundle.v1.Bundle/BatchDeleteFederatedBundle',
      request: BatchDeleteFederatedBundleRequest.fromPartial({ trustDomains: ['other.org'], mode: 1 }),
      response: BatchDeleteFederatedBundleResponse.fromPartial({
        results: [{ trustDomain: 'other.org', status: { code: 0, message: 'OK' } }],
      }),
    });
    expect(lines).toMatchObject([{ trust_domain_id: 'other.org', mode: 'DELETE' }]);
  });

  it('records probes only where they are refused', () => {
    const method = '/grpc.health.v1.Health/Check';
    expect(linesOf({ method })).toEqual([]);
    expect(linesOf({ method, code: statusCode.NOT_FOUND, message: 'unknown service' })).toHaveLength(1);
  });

  it('has nothing to say where the caller had gone before the call was looked at', () => {
    const lines: object[] = [];
    const audit = createAuditLog({ info: (fields: object) => lines.push(fields) } as unknown as Logger);
    audit
      .observe('/x.Y/Z')
      .ended({ context: undefined, request: {}, response: undefined, code: 14, message: '', startedAt: 0 });
    expect(lines).toEqual([]);
  });
});
