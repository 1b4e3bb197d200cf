// What a test file has started, and its directory: struck in reverse order at its end.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { startAgent } from './agent.ts';
import type { AgentOptions, SpireAgent } from './agent.ts';
import { startServer } from './server.ts';
import type { ServerOptions, SpireServer } from './server.ts';

export interface Stage {
  readonly directory: string;
  server(options: Omit<ServerOptions, 'directory'>): Promise<SpireServer>;
  agent(options: Omit<AgentOptions, 'directory'>): Promise<SpireAgent>;
  /** Anything else that has an end. */
  add<T extends { stop(): Promise<void> }>(part: T): T;
  strike(): Promise<void>;
}

export function createStage(): Stage {
  // Not the system's temporary directory, whose name may be long.
  const directory = mkdtempSync(join('/tmp', 'peers-'));
  const parts: { stop(): Promise<void> }[] = [];
  const add = <T extends { stop(): Promise<void> }>(part: T): T => {
    parts.push(part);
    return part;
  };
  return {
    directory,
    server: async (options) => add(await startServer({ directory, ...options })),
    agent: async (options) => add(await startAgent({ directory, ...options })),
    add,
    async strike() {
      const failures: unknown[] = [];
      for (const part of parts.reverse()) await part.stop().catch((error: unknown) => failures.push(error));
      if (process.env['ESPALIER_KEEP'] === undefined) rmSync(directory, { recursive: true, force: true });
      if (failures.length > 0) throw new AggregateError(failures, 'not everything ended well');
    },
  };
}
