// Machines with their metadata servers: what an instance of either cloud is made of. One power operation at a time for each machine.
import type { Handler, Listener } from '../http.ts';
import type { MachineDirectories, MachineRecord, Machines } from './machines.ts';
import type { MetadataDoor } from './metadata-door.ts';

export interface Hosted {
  readonly machine: MachineRecord;
  readonly metadataPort: number;
  readonly metadata: Handler;
  readonly environment: Readonly<Record<string, string>>;
}

export interface Fleet {
  powerOn(hosted: Hosted): Promise<void>;
  powerOff(machine: MachineRecord): Promise<void>;
  destroy(machine: MachineRecord): Promise<void>;
  forget(machine: MachineRecord): void;
  run: Machines['run'];
  readConsole(machine: MachineRecord): Buffer;
  describe(machine: MachineRecord): MachineDirectories;
  close(): Promise<void>;
}

export function createFleet(machines: Machines, door: MetadataDoor): Fleet {
  const listeners = new Map<number, Pick<Listener, 'close'>>();
  const pending = new Map<number, Promise<void>>();
  let closing = false;

  function inTurn(machine: MachineRecord, act: () => Promise<void>): Promise<void> {
    const turn = (pending.get(machine.number) ?? Promise.resolve()).catch(() => undefined).then(act);
    pending.set(machine.number, turn);
    return turn;
  }

  async function silence(machine: MachineRecord): Promise<void> {
    const listener = listeners.get(machine.number);
    listeners.delete(machine.number);
    await listener?.close();
  }

  return {
    powerOn: ({ machine, metadataPort, metadata, environment }) =>
      inTurn(machine, async () => {
        if (closing) throw new Error('the lab is being stopped');
        if (!listeners.has(machine.number))
          listeners.set(machine.number, await door.open(machine, metadataPort, metadata));
        await machines.start(machine, environment);
      }),
    powerOff: (machine) =>
      inTurn(machine, async () => {
        await machines.stop(machine);
        await silence(machine);
      }),
    destroy: (machine) =>
      inTurn(machine, async () => {
        await machines.destroy(machine);
        await silence(machine);
      }),
    forget: (machine) => machines.forget(machine),
    run: (machine, script, timeoutMs) => machines.run(machine, script, timeoutMs),
    readConsole: (machine) => machines.readConsole(machine),
    describe: (machine) => machines.describe(machine),
    async close() {
      closing = true;
      await Promise.allSettled(pending.values());
      await machines.close();
      await Promise.all([...listeners.values()].map((listener) => listener.close()));
      await door.close();
    },
  };
}
