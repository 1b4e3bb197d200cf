import { describe, expect, test } from 'vitest';
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../../../proto/gen/spire/api/types/status.ts';
import { createCsr } from '../../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../../runtime/pki/signer.ts';
import { RpcError, statusCode } from '../../../../runtime/rpc/status.ts';
import { identifyCaller } from '../../../../runtime/server/api/caller.ts';
import { createRenewAgent } from '../../../../runtime/server/api/renew-agent.ts';
import type { FleetReportRecord } from '../../../../runtime/server/store/fleet-records.ts';
import { StoreError } from '../../../../runtime/server/store/errors.ts';
import type { AgentRecord } from '../../../../runtime/server/store/records.ts';
import { silentLog } from '../../../support/stores.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../../runtime/spiffe/bundle.ts';
import { agentRecord, callOf, issueLeaf, remote, trustDomain } from './callers.ts';

const id = 'spiffe://example.org/spire/agent/x509pop/a';
const leaf = issueLeaf(id);
const csr = createCsr({ signer: signerOf(generateKeyPairSync('ec-p256').privateKey) });
const context = callOf('/spire.api.server.agent.v1.Agent/RenewAgent', remote(id, leaf));

const bundle: TrustBundle = {
  ...emptyBundle(trustDomain),
  sequenceNumber: 7,
  jwtAuthorities: [{ keyId: 'k', publicKey: new Uint8Array(), expiresAt: 0, tainted: true }],
};
const reported: FleetReportRecord[] = [];

function createRenewAgentOf(found: AgentRecord | undefined, isThereLater: boolean) {
  return createRenewAgent({
    authority: {
      signAgentX509Svid: async () => ({ chain: [leaf], expiresAt: leaf.notAfter }),
      bundle: () => bundle,
    },
    agents: {
      fetchAgent: async () => found,
      updateAgent: async () => (isThereLater ? record : Promise.reject(new StoreError('NOT_FOUND', 'no agent'))),
    },
    reports: { add: (report) => void reported.push(report) },
    clock: () => 1_000,
    limiter: { admit: async () => undefined },
    callerOf: ({ connection }) => identifyCaller(connection),
    log: silentLog,
  });
}

function renew(found: AgentRecord | undefined, isThereLater = false): Promise<unknown> {
  const { renewAgent } = createRenewAgentOf(found, isThereLater);
  return renewAgent!({ params: { csr } }, context);
}

const record = { ...agentRecord(id, leaf), canReattest: false };

test('an agent that can attest again is told to', async () => {
  const error = await renew({ ...record, canReattest: true }).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(RpcError);
  const { code, details } = error as RpcError;
  expect(code).toBe(statusCode.PERMISSION_DENIED);
  expect(PermissionDeniedDetails.decode(details[0]!.value).reason).toBe(Reason.AGENT_MUST_REATTEST);
});

test.each([
  ['before the call', undefined, 'agent not found'],
  ['during the call', record, 'failed to update agent: no agent'],
])('an agent that was evicted %s is not found', async (_, found, message) => {
  await expect(renew(found)).rejects.toMatchObject({ code: statusCode.NOT_FOUND, message });
});

describe('a status with a bundle’s sequence number', () => {
  const post = (currentBundleSerial: number) =>
    createRenewAgentOf(record, true).postStatus!({ agentVersion: '1.15.3', currentBundleSerial }, context);

  test('shows the authorities of that bundle where it is the present one', async () => {
    await post(7);
    const report = { version: '1.15.3', x509: [], jwt: [{ authorityId: 'k', tainted: true }], issued: [] };
    expect(reported.splice(0)).toEqual([
      {
        kind: 'agent',
        spiffeId: id,
        instance: '',
        reportedAt: 1_000,
        report: { ...report, streams: 0, streamsLagging: 0, clockSkewMs: 0 },
      },
    ]);
  });

  test.each([0, 6, 8])('shows nothing with %i', async (serial) => {
    await post(serial);
    expect(reported).toEqual([]);
  });
});
