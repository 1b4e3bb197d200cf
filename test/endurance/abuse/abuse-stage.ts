// A server, an agent, and a well-behaved client of each socket: this process.
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { DebugService } from '../../../proto/gen/spire/api/agent/debug/v1/debug.ts';
import { SpiffeWorkloadAPIService } from '../../../proto/gen/spiffe/workload/workload.ts';
import { connect, createClient } from '../../../runtime/rpc/client.ts';
import type { RpcChannel } from '../../../runtime/rpc/client.ts';
import { serverVerifier } from '../../../runtime/rpc/verify-peer.ts';
import { serverId } from '../../../runtime/spiffe/spiffe-id.ts';
import { clientsOf, trustDomain, workloadEntry } from '../../bench/callers.ts';
import { startServerProcess } from '../../bench/server-under-load.ts';
import { startAgentProcess } from '../../support/agent-process.ts';
import { startPostgres } from '../../support/postgres-server.ts';
import { fetchX509Svid, securityHeader } from '../../support/raw-streams.ts';
import type { AbuseTarget } from './abuse-cases.ts';
import type { Attacked } from './attacked.ts';

export interface Target {
  readonly attacked: Attacked;
  readonly pid: () => number;
  readonly isAlive: () => boolean;
  /** One call of a well-behaved client, on a connection of its own. */
  call(deadlineMs: number): Promise<void>;
}

export interface AbuseStage {
  readonly targets: Readonly<Record<AbuseTarget, Target>>;
  close(): Promise<void>;
}

const health = '/grpc.health.v1.Health/Watch';
const outputMask = undefined;

export async function openAbuseStage(): Promise<AbuseStage> {
  const postgres = await startPostgres();
  const server = await startServerProcess(postgres.url);
  const { port, socketPath } = server.ready;
  const local = clientsOf(connect({ unixPath: socketPath }));
  const { x509Authorities } = await local.bundle.getBundle({ outputMask });
  const roots = x509Authorities.map(({ asn1 }) => asn1);
  const { value: joinToken } = await local.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
  const selectors = [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }];
  const entries = [workloadEntry('/well-behaved', `/spire/agent/join_token/${joinToken}`, { selectors })];
  await local.entry.batchCreateEntry({ entries, outputMask });
  local.close();
  const agent = await startAgentProcess({ serverPort: port, bundlePem: certificatesToPem(roots), joinToken });
  const verifyServer = serverVerifier({ expectedId: serverId(trustDomain), roots: () => roots, clock: Date.now });
  const ofAgent = { pid: agent.pid, isAlive: agent.isAlive };
  return {
    targets: {
      agent: {
        ...ofAgent,
        attacked: {
          socketPath: agent.socketPath,
          streamPath: fetchX509Svid,
          callPath: '/SpiffeWorkloadAPI/ValidateJWTSVID',
          headers: [securityHeader],
        },
        call: (deadlineMs) =>
          over(connect({ unixPath: agent.socketPath }), async (channel) => {
            const api = createClient(SpiffeWorkloadAPIService, channel);
            const metadata = { [securityHeader[0]]: securityHeader[1] };
            for await (const { svids } of api.fetchX509Svid({}, { metadata, deadlineMs }))
              if (svids[0]?.spiffeId === 'spiffe://example.org/well-behaved') return;
            throw new Error('the stream ended without its SVID');
          }),
      },
      admin: {
        ...ofAgent,
        attacked: {
          socketPath: agent.adminSocketPath,
          streamPath: health,
          callPath: '/spire.agent.debug.v1.Debug/GetInfo',
          headers: [],
        },
        call: (deadlineMs) =>
          over(connect({ unixPath: agent.adminSocketPath }), async (channel) => {
            await createClient(DebugService, channel).getInfo({}, { deadlineMs });
          }),
      },
      server: {
        pid: () => server.pid,
        isAlive: server.isAlive,
        attacked: {
          port,
          streamPath: '/spire.api.server.agent.v1.Agent/AttestAgent',
          callPath: '/spire.api.server.bundle.v1.Bundle/GetBundle',
          headers: [],
        },
        call: (deadlineMs) =>
          over(connect({ host: '127.0.0.1', port, verifyServer }), async (channel) => {
            await createClient(BundleService, channel).getBundle({ outputMask }, { deadlineMs });
          }),
      },
    },
    async close() {
      await agent.close();
      await server.close();
      await postgres.remove();
    },
  };
}

async function over(channel: RpcChannel, act: (channel: RpcChannel) => Promise<void>): Promise<void> {
  try {
    await act(channel);
  } finally {
    channel.close();
  }
}
