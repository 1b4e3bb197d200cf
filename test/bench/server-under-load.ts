// Starts a database and the server on it, and makes its callers, each over a TLS connection of its own.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect } from '../../runtime/rpc/client.ts';
import { serverVerifier } from '../../runtime/rpc/verify-peer.ts';
import { serverId } from '../../runtime/spiffe/spiffe-id.ts';
import { authorized, createEntries, synchronized } from './cases.ts';
import { clientsOf, makeAdmin, makeAgent, trustDomain } from './callers.ts';
import type { Clients, Connect } from './callers.ts';
import type { ServerChoices, ServerMessage, ServerReady, ServerUsage } from './server-process.ts';

const batch = 100;

/** What `bin/spire-server` gives Node. */
function launcherFlags(): string[] {
  const launcher = readFileSync(new URL('../../bin/spire-server', import.meta.url), 'utf8');
  return launcher.match(/(?<= )--[a-z-]+=\d+/g) ?? [];
}

/** The server in a process of its own. */
export async function startServerProcess(
  databaseUrl: string,
  choices: ServerChoices = {},
  env: Readonly<Record<string, string>> = {},
) {
  const child = fork(new URL('./server-process.ts', import.meta.url), [databaseUrl, JSON.stringify(choices)], {
    stdio: 'inherit',
    env: { ...process.env, ...env },
    execArgv: launcherFlags(),
  });
  const answer = async (): Promise<ServerMessage> => ((await once(child, 'message')) as [ServerMessage])[0];
  const ready = (await answer()) as ServerReady;
  return {
    ready,
    pid: child.pid ?? 0,
    isAlive: () => child.exitCode === null && child.signalCode === null,
    usage: async (): Promise<ServerUsage> => {
      child.send('usage');
      return (await answer()) as ServerUsage;
    },
    close: async (): Promise<void> => {
      const exited = once(child, 'exit');
      child.disconnect();
      await exited;
      await rm(ready.directory, { recursive: true, force: true });
    },
  };
}

export async function startServerUnderLoad(databaseUrl: string) {
  const { ready, usage, close } = await startServerProcess(databaseUrl);
  const local = clientsOf(connect({ unixPath: ready.socketPath }));
  const bundle = await local.bundle.getBundle({ outputMask: undefined });
  const roots = bundle.x509Authorities.map(({ asn1 }) => asn1);
  const verifyServer = serverVerifier({ expectedId: serverId(trustDomain), roots: () => roots, clock: Date.now });
  const connectTls: Connect = (credentials) => {
    const tls = credentials === undefined ? {} : { credentials: () => credentials };
    return clientsOf(connect({ host: '127.0.0.1', port: ready.port, verifyServer, ...tls }));
  };
  const agent = await makeAgent(local, connectTls);
  const largeAgent = await makeAgent(local, connectTls);
  const admin = await makeAdmin(local, connectTls, agent.path);
  const entryIds = await fill(admin, agent.path, authorized);
  await fill(admin, largeAgent.path, synchronized);

  return {
    local,
    admin,
    agent: { ...agent, entryIds },
    largeAgent,
    connect: connectTls,
    usage,
    async close(): Promise<void> {
      for (const clients of [local, admin, agent, largeAgent]) clients.close();
      await close();
    },
  };
}

export type ServerUnderLoad = Awaited<ReturnType<typeof startServerUnderLoad>>;

async function fill(admin: Clients, parentPath: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  while (ids.length < count) ids.push(...(await createEntries(admin, parentPath, batch)));
  return ids;
}
