import { expect, test } from 'vitest';
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
import { StoreError } from '../../../../runtime/server/store/errors.ts';
import type { AgentRecord } from '../../../../runtime/server/store/records.ts';
import { silentLog } from '../../../support/stores.ts';
import { agentRecord, callOf, issueLeaf, remote } from './callers.ts';

const id = 'spiffe://example.org/spire/agent/x509pop/a';
const leaf = issueLeaf(id);
const csr = createCsr({ signer: signerOf(generateKeyPairSync('ec-p256').privateKey) });
const context = callOf('/spire.api.server.agent.v1.Agent/RenewAgent', remote(id, leaf));

function renew(found: AgentRecord | undefined): Promise<unknown> {
  const { renewAgent } = createRenewAgent({
    authority: { signAgentX509Svid: async () => ({ chain: [leaf], expiresAt: leaf.notAfter }) },
    agents: {
      fetchAgent: async () => found,
      updateAgent: async () => Promise.reject(new StoreError('NOT_FOUND', 'no agent')),
    },
    limiter: { admit: async () => undefined },
    callerOf: ({ connection }) => identifyCaller(connection),
    log: silentLog,
  });
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
