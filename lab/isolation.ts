// How far the lab keeps its instances apart, and what that takes: with namespaces a network of its own, as root, with the clouds' rules and the
// faults of links enforced in it, and one address on it at which the lab answers its instances.
import { gatewayAddress, controlAddress, metadataPorts } from './addresses.ts';
import { guardInstances as guardEc2 } from './aws/instance-rules.ts';
import { linkRules } from './faults/links.ts';
import { listInstances } from './faults/instances.ts';
import { guardInstances as guardGce } from './gcp/instance-rules.ts';
import { listen } from './http.ts';
import type { Handler } from './http.ts';
import { ownAddressDoor, sharedDoor } from './instance/metadata-door.ts';
import type { MetadataDoor } from './instance/metadata-door.ts';
import { namespaceHindrances } from './instance/network-programs.ts';
import { createNetwork } from './instance/network.ts';
import type { Network } from './instance/network.ts';
import { openRelays } from './relays.ts';
import type { Isolation, LabState } from './state.ts';

export interface Isolated {
  readonly door: MetadataDoor;
  readonly network: Network | undefined;
  /** After each change of the state. */
  follow(): void;
  close(): Promise<void>;
}

export interface IsolationSettings {
  readonly state: LabState;
  readonly stateDirectory: string;
  readonly network: number;
  readonly port: number;
  /** Ports of loopback that instances reach. */
  readonly reach: readonly number[];
  readonly answer: Handler;
  readonly log: (line: string) => void;
}

/** What is asked for, or what the instances have that are there already; the two must not differ. */
export function chooseIsolation(
  state: LabState,
  asked: Isolation | undefined,
  hindrances: () => readonly string[] = namespaceHindrances,
): Isolation {
  const kept = state.isolation ?? 'none';
  if (asked !== undefined && asked !== kept && listInstances({ state }).length > 0)
    throw new Error(`this lab's instances have isolation ${kept}, ${asked} is asked for: remove them first`);
  const isolation = asked ?? kept;
  const found = isolation === 'namespaces' ? hindrances() : [];
  if (found.length > 0) throw new Error(`isolation namespaces is not possible here: ${found.join('; ')}`);
  return isolation;
}

export async function isolate(isolation: Isolation, settings: IsolationSettings): Promise<Isolated> {
  const { state, stateDirectory, network: number, port, reach, answer, log } = settings;
  if (isolation === 'none')
    return {
      door: ownAddressDoor(log),
      network: undefined,
      follow: () => undefined,
      close: () => Promise.resolve(),
    };
  const machines = listInstances({ state }).map(({ machine }) => machine);
  const services = [
    { address: controlAddress(number), port },
    ...reach.map((each) => ({ address: '127.0.0.1', port: each })),
  ];
  const gateway = gatewayAddress(number);
  const network = createNetwork({ number, gateway, stateDirectory, machines, services });
  const follow = () =>
    network.enforce({
      metadataPort: metadataPorts.shared,
      guarded: [...guardEc2(state.aws), ...guardGce(state.gcp)],
      links: linkRules(state),
    });
  follow();
  const listener = await listen(gateway, port, answer, log);
  const relays = await openRelays(gateway, reach);
  return {
    door: await sharedDoor(gateway, metadataPorts.shared, log),
    network,
    follow,
    async close() {
      await relays.close();
      await listener.close();
    },
  };
}
