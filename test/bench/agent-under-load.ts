// A server, and an agent of ours in a process of its own with a thousand SVIDs in its cache, one of them this process's.
import { setTimeout as sleep } from 'node:timers/promises';
import { DebugService } from '../../proto/gen/spire/api/agent/debug/v1/debug.ts';
import type { Entry } from '../../proto/gen/spire/api/types/entry.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { connect, createClient } from '../../runtime/rpc/client.ts';
import { startAgentProcess } from '../support/agent-process.ts';
import type { AgentProcess } from '../support/agent-process.ts';
import { clientsOf, workloadEntry } from './callers.ts';
import type { Clients } from './callers.ts';
import { startServerProcess } from './server-under-load.ts';

export const cachedSvids = 1_000;
const batch = 100;
const patienceMs = 60_000;

export interface AgentUnderLoad {
  readonly agent: AgentProcess;
  readonly agentPath: string;
  /** Of the server. */
  readonly local: Clients;
  /** This process's. */
  readonly own: Entry;
  /** Until the agent has an SVID for each entry. */
  readonly untilCached: () => Promise<void>;
  close(): Promise<void>;
}

export const ownSelectors = [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }];

export async function startAgentUnderLoad(databaseUrl: string): Promise<AgentUnderLoad> {
  const server = await startServerProcess(databaseUrl);
  const local = clientsOf(connect({ unixPath: server.ready.socketPath }));
  const { x509Authorities } = await local.bundle.getBundle({ outputMask: undefined });
  const bundlePem = certificatesToPem(x509Authorities.map(({ asn1 }) => asn1));
  const { value: joinToken } = await local.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
  const agentPath = `/spire/agent/join_token/${joinToken}`;
  const own = await createEntries(local, [workloadEntry('/bench/own', agentPath, { selectors: ownSelectors })]);
  for (let made = 1; made < cachedSvids; made += batch) {
    const count = Math.min(batch, cachedSvids - made);
    const entries = Array.from({ length: count }, (_, index) => workloadEntry(`/bench/${made + index}`, agentPath));
    await createEntries(local, entries);
  }
  const agent = await startAgentProcess({
    serverPort: server.ready.port,
    bundlePem,
    joinToken,
    experimental: 'max_calls_per_second_per_process = 1000000 max_calls_per_second_per_user = 1000000', // one process calls for all
  });
  const load = {
    agent,
    agentPath,
    local,
    own: own[0]!,
    async untilCached(): Promise<void> {
      const until = performance.now() + patienceMs;
      const channel = connect({ unixPath: agent.adminSocketPath });
      const debug = createClient(DebugService, channel);
      try {
        while ((await debug.getInfo({})).cachedX509SvidsCount < cachedSvids) {
          if (performance.now() > until) throw new Error(`agent did not get ${cachedSvids} SVIDs`);
          await sleep(100);
        }
      } finally {
        channel.close();
      }
    },
    async close(): Promise<void> {
      await agent.close();
      local.close();
      await server.close();
    },
  };
  await load.untilCached();
  return load;
}

export async function createEntries({ entry }: Clients, entries: Entry[]): Promise<Entry[]> {
  const { results } = await entry.batchCreateEntry({ entries, outputMask: undefined });
  return results.map(({ entry: made, status }) => {
    if (made === undefined) throw new Error(`entry not created: ${status?.message ?? ''}`);
    return made;
  });
}
