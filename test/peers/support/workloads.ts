// What the workloads in Python and Go tell about what an agent gave them, as their programs print it.
import { join } from 'node:path';
import { output } from './processes.ts';
import { pythonScript } from './programs.ts';

/** Says where the Workload API is. */
export interface WorkloadEnvironment {
  readonly env: Readonly<Record<string, string>>;
}

/** Both programs end with a failure where anything that they verify does not hold. */
export interface Fetched {
  readonly id: string;
  /** PEM, leaf first. */
  readonly chain: string;
  readonly bundle: string;
  /** By the Go workload only. */
  readonly verifiedId?: string;
  readonly jwtId: string;
  readonly jwtAudience: readonly string[];
  readonly jwtKeys: number;
  /** Whose token the agent says it is. */
  readonly validatedId: string;
  /** What the agent says of the same token for another audience. */
  readonly otherAudience: string | null;
}

export async function fetchInPython(bin: string, { env }: WorkloadEnvironment, audience: string): Promise<Fetched> {
  return JSON.parse(await output(join(bin, 'python3'), [pythonScript('fetch.py'), audience], { env })) as Fetched;
}

export async function fetchInGo(workload: string, { env }: WorkloadEnvironment, audience: string): Promise<Fetched> {
  return JSON.parse(await output(workload, ['fetch', audience], { env })) as Fetched;
}

/** Every process of this user, on any agent that attests by uid. */
export const ownUid = `unix:uid:${process.getuid?.() ?? 0}`;
