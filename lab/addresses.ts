// The lab's part of loopback: 127.<network>.0.1 answers for the clouds, 127.<network>.1.n are AWS's instances, 127.<network>.2.n GCP's.
// Linux has all of 127.0.0.0/8 on `lo`, so this works without root.
import type { LabContext } from './context.ts';
import type { MachineRecord } from './instance/machines.ts';

export const firstNetwork = 77;
export const lastNetwork = 126;
export const defaultControlPort = 1337;
/** Where metadata services listen, on their instance's own address. */
export const metadataPorts = { aws: 1338, gcp: 1339 } as const;

const thirdByte = { aws: 1, gcp: 2 } as const;

export function controlAddress(network: number): string {
  return `127.${network}.0.1`;
}

/** A machine with an address that no instance of its cloud has; `undefined` when all 254 are taken. */
export function allocateMachine(
  context: LabContext,
  cloud: 'aws' | 'gcp',
  bootScript: string,
): MachineRecord | undefined {
  const { state } = context;
  const inUse = new Set([
    ...state.aws.instances.filter((instance) => instance.state !== 'terminated').map(({ machine }) => machine.address),
    ...state.gcp.instances.map(({ machine }) => machine.address),
  ]);
  const number = state.nextMachine;
  for (let offset = 0; offset < 254; offset += 1) {
    // Moving on from the last address: one that has just been given up may still be in somebody's connections.
    const address = `127.${state.network ?? firstNetwork}.${thirdByte[cloud]}.${1 + ((number - 1 + offset) % 254)}`;
    if (inUse.has(address)) continue;
    state.nextMachine += 1;
    return { number, address, bootScript };
  }
  return undefined;
}
