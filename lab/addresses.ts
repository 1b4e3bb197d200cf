// The lab's part of loopback: 127.<network>.0.1 answers for the clouds, 127.<network>.1.n are AWS's instances, 127.<network>.2.n GCP's,
// and 127.<network>.16.n to .63.n and .64.n to .111.n where there are more.
// Linux has all of 127.0.0.0/8 on `lo`, so this works without root. With network namespaces instances have the same addresses below 10.
import { createHash } from 'node:crypto';
import type { LabContext } from './context.ts';
import type { MachineRecord } from './instance/machines.ts';

export const firstNetwork = 16;
export const lastNetwork = 126;
/** A lab begins to look within these; the rest of the networks is for when they are taken, and for tests. */
const homes = 64;
export const defaultControlPort = 1337;
/** Where metadata services listen: on their instance's own address, or all on the one that the lab has on its own network. */
export const metadataPorts = { aws: 1338, gcp: 1339, shared: 1338 } as const;

/** The blocks of 254 addresses that each cloud has, by their third byte: one that people see, and more for thousands of nodes. */
const blocks = {
  aws: [1, ...Array.from({ length: 48 }, (_, i) => 16 + i)],
  gcp: [2, ...Array.from({ length: 48 }, (_, i) => 64 + i)],
} as const;

/**
 * Where a lab on that directory begins to look for a network. A lab with instances comes back to the network that they have: were it the same for
 * all labs, whichever started first after a restart of the machine would keep the others from starting.
 */
export function homeNetwork(stateDirectory: string): number {
  return firstNetwork + (createHash('sha256').update(stateDirectory).digest().readUInt32BE() % homes);
}

/** All networks, beginning with that one. */
export function networksFrom(first: number): number[] {
  const count = lastNetwork - firstNetwork + 1;
  return Array.from({ length: count }, (_, i) => firstNetwork + ((first - firstNetwork + count + i) % count));
}

export function controlAddress(network: number): string {
  return `127.${network}.0.1`;
}

/** The lab's on its own network, where it has one. */
export function gatewayAddress(network: number): string {
  return `10.${network}.0.1`;
}

/** A machine with an address that no instance of its cloud has; `undefined` when all are taken. */
export function allocateMachine(
  context: LabContext,
  cloud: 'aws' | 'gcp',
  bootScript: string,
): MachineRecord | undefined {
  const { state, isolation } = context;
  const inUse = new Set([
    ...state.aws.instances.filter((instance) => instance.state !== 'terminated').map(({ machine }) => machine.address),
    ...state.gcp.instances.map(({ machine }) => machine.address),
  ]);
  const number = state.nextMachine;
  for (const block of blocks[cloud]) {
    for (let offset = 0; offset < 254; offset += 1) {
      // Moving on from the last address: one that has just been given up may still be in somebody's connections.
      const address = `${isolation === 'namespaces' ? 10 : 127}.${networkOf(state)}.${block}.${1 + ((number - 1 + offset) % 254)}`;
      if (inUse.has(address)) continue;
      state.nextMachine += 1;
      return { number, address, bootScript };
    }
  }
  return undefined;
}

function networkOf({ network }: LabContext['state']): number {
  if (network === undefined) throw new Error('the lab has no network yet');
  return network;
}
