// Machines without processes: a node is an agent that this process plays, and a script that is run on it is read for the agent that it puts there.
import { createHash } from 'node:crypto';
import type { MachineRecord, Machines, ScriptEnd } from '../../../lab/instance/machines.ts';
import { createPlayedAgent } from './played-agent.ts';
import type { PlayedAgent, PlayedServer } from './played-agent.ts';

/** The boot script of an instance that is to be played as a node. */
export const playedNode = '#!/bin/sh\n# a node that is played\n';
export const versionBefore = '0.0.9';

export interface PlayedMachines extends Machines {
  /** From now on nodes attest to that server, so many at once. */
  play(server: PlayedServer, versionAfter: string): void;
  counts(): { readonly attested: number; readonly changed: number; readonly failures: readonly string[] };
}

const atOnce = 16;

export function createPlayedMachines(): PlayedMachines {
  const agents = new Map<number, PlayedAgent>();
  const waiting: { readonly machine: MachineRecord; readonly metadata: string }[] = [];
  const failures: string[] = [];
  let [attested, changed, working] = [0, 0, 0];
  let playing: { readonly server: PlayedServer; readonly versionAfter: string } | undefined;

  async function work(): Promise<void> {
    if (working >= atOnce || playing === undefined) return;
    working += 1;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const agent = createPlayedAgent(next.metadata, playing.server);
      try {
        await agent.attest(versionBefore);
        agents.set(next.machine.number, agent);
        attested += 1;
      } catch (cause) {
        failures.push(`${next.machine.address}: ${String(cause)}`);
      }
    }
    working -= 1;
  }

  return {
    async start(machine, environment) {
      if (machine.bootScript !== playedNode) return;
      waiting.push({ machine, metadata: environment['AWS_EC2_METADATA_SERVICE_ENDPOINT'] ?? '' });
      void work();
    },
    async run(machine, script): Promise<ScriptEnd | undefined> {
      const agent = agents.get(machine.number);
      const [, release] = /END_OF_AGENT'\n([\s\S]*?\n)END_OF_AGENT\n/.exec(script) ?? [];
      if (agent === undefined || playing === undefined || release === undefined) return undefined;
      await agent.restart(playing.versionAfter);
      changed += 1;
      const digest = createHash('sha256').update(release).digest('hex');
      return { code: 0, stdout: `espalier: the agent has release ${digest}\n`, stderr: '' };
    },
    play(server, versionAfter) {
      playing = { server, versionAfter };
      for (let i = 0; i < atOnce; i += 1) void work();
    },
    counts: () => ({ attested, changed, failures }),
    stop: async () => undefined,
    destroy: async () => undefined,
    forget: () => undefined,
    readConsole: () => Buffer.alloc(0),
    describe: () => ({ root: '', run: '' }),
    async close() {
      for (const agent of agents.values()) agent.close();
    },
  };
}
