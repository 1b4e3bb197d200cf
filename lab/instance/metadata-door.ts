// Where the metadata services of machines are reached. Machines that share the computer's network have theirs at their own address; in namespaces all
// come to one place, from 169.254.169.254, and are known by their addresses, which the router lets nobody borrow.
import { listen, text } from '../http.ts';
import type { Handler, Listener } from '../http.ts';
import type { MachineRecord } from './machines.ts';

export interface MetadataDoor {
  open(machine: MachineRecord, port: number, handler: Handler): Promise<Pick<Listener, 'close'>>;
  close(): Promise<void>;
}

export function ownAddressDoor(log: (line: string) => void): MetadataDoor {
  return {
    open: (machine, port, handler) => listen(machine.address, port, handler, log),
    close: () => Promise.resolve(),
  };
}

export async function sharedDoor(gateway: string, port: number, log: (line: string) => void): Promise<MetadataDoor> {
  const handlers = new Map<string, Handler>();
  const answer: Handler = (request) =>
    handlers.get(request.from)?.(request) ?? text(404, `no machine has the address ${request.from}\n`);
  const listener = await listen(gateway, port, answer, log);
  return {
    open({ address }, _, handler) {
      handlers.set(address, handler);
      const close = () => {
        handlers.delete(address);
        return Promise.resolve();
      };
      return Promise.resolve({ close });
    },
    close: () => listener.close(),
  };
}
