// A server on a Unix socket whose answers the test writes, and a terminal that keeps what is printed.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRpcServer } from '../../../../runtime/rpc/server.ts';
import type { RpcServer } from '../../../../runtime/rpc/server.ts';
import { runCommandLine } from '../../../../runtime/server/cli/commands.ts';

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface StubServer {
  readonly socketPath: string;
  /** Runs `spire-server <argv…> -socketPath <ours>`. */
  run(...argv: string[]): Promise<Run>;
  close(): Promise<void>;
}

export async function startStubServer(
  addServices: (server: RpcServer) => void,
  files: Readonly<Record<string, string>> = {},
): Promise<StubServer> {
  const directory = await mkdtemp(join(tmpdir(), 'stub-server-'));
  const socketPath = join(directory, 'api.sock');
  const server = createRpcServer();
  addServices(server);
  await server.listenUnix(socketPath, { mode: 0o770 });
  return {
    socketPath,
    run: (...argv) => runCaptured([...argv, '-socketPath', socketPath], files),
    async close() {
      await server.close(0);
      await rm(directory, { recursive: true });
    },
  };
}

export async function runCaptured(
  argv: readonly string[],
  files: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Run> {
  let out = '';
  let err = '';
  const code = await runCommandLine(argv, {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    readFile: (path) => files[path] ?? '',
    env,
  });
  return { code, out, err };
}
