// A network of the lab's own, as root: a router in a network namespace, a namespace for each machine, and a link from each to the router. The machine
// that the lab runs on is another neighbour of the router, at the gateway's address; the router knows no way to anywhere else.
import { existsSync, readdirSync } from 'node:fs';
import { renderFirewall, renderLoopback, interfaceOf, metadataAddress, uplink } from './firewall.ts';
import type { Firewall } from './firewall.ts';
import type { MachineRecord } from './machines.ts';
import { findProgram, runProgram } from './network-programs.ts';

export interface Network {
  /** The machine that the lab runs on, as its machines see it. */
  readonly gateway: string;
  /** Words before a command that runs on the machine. */
  entering(machine: MachineRecord): readonly string[];
  isAttached(machine: MachineRecord): boolean;
  /** Its namespace and link, made or found, and the services that its loopback leads to. */
  attach(machine: MachineRecord): void;
  detach(machine: MachineRecord): void;
  /** From now on; a change that is none costs nothing. */
  enforce(firewall: Omit<Firewall, 'gateway'>): void;
  close(): void;
}

export interface NetworkSettings {
  /** Of its first addresses. */
  readonly gateway: string;
  /** Second byte of its addresses. */
  readonly number: number;
  /** Whose it is: found again by this after a kill. */
  readonly stateDirectory: string;
  /** What machines find on their own loopback at these addresses, and the machine that the lab runs on answers at the gateway's, on the same port. */
  readonly services: readonly { readonly address: string; readonly port: number }[];
  /** Machines whose namespaces stay when they are there; all others of this network are left from somebody who is gone. */
  readonly machines: readonly MachineRecord[];
}

const namespaces = '/run/netns';
const aliasStart = 'lab of ';
/** Linux keeps that much. */
const longestAlias = 255;
/** On the link, packets go as they would on a wire: a rate counts them one by one. */
const wire = ['gso_max_segs', '1', 'gso_max_size', '1500'];

const routerAddress = (number: number): string => `10.${number}.0.2`;
const nameOf = (number: number): string => `espalier-${number}`;

/** Who has that network on this machine, in words; `undefined` where it is free, or this state directory's from before. */
export function networkHolder(number: number, stateDirectory: string): string | undefined {
  const owner = aliasOf(nameOf(number));
  const links = runProgram('ip', ['-4', 'route', 'show', 'table', 'all', 'root', `10.${number}.0.0/16`]);
  const foreign = links.split('\n').find((line) => line !== '' && !line.includes(`dev ${nameOf(number)}`));
  if (foreign !== undefined) return `a route of this machine (${foreign.trim()})`;
  const isLeft = owner === undefined || owner === '' || owner === aliasFor(stateDirectory) || !existsSync(owner.slice(aliasStart.length)); // prettier-ignore
  return isLeft ? undefined : owner;
}

export function createNetwork(settings: NetworkSettings): Network {
  const { number, gateway, stateDirectory, machines, services } = settings;
  const router = nameOf(number);
  const namespaceOf = (machine: MachineRecord) => `${router}-${machine.number}`;
  let enforced = '';
  let closed = false;

  const isWhole = aliasOf(router) === aliasFor(stateDirectory) && existsNamespace(router);
  removeAll(router, isWhole ? [router, ...machines.map(namespaceOf)] : []);
  if (!isWhole) createRouter(settings);

  const isAttached = (machine: MachineRecord) => existsNamespace(namespaceOf(machine)) && routesTo(router, machine);

  function detach(machine: MachineRecord): void {
    // The link goes at once; the namespace, when the last process has left it.
    if (routesTo(router, machine)) runProgram('ip', ['-n', router, 'link', 'del', interfaceOf(machine)]);
    if (existsNamespace(namespaceOf(machine))) runProgram('ip', ['netns', 'del', namespaceOf(machine)]);
  }

  function connect(machine: MachineRecord): void {
    detach(machine);
    const namespace = namespaceOf(machine);
    runProgram('ip', ['netns', 'add', namespace]);
    const far = interfaceOf(machine);
    runProgram('ip', ['link', 'add', far, 'netns', router, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]); // prettier-ignore
    batch(namespace, [
      'link set dev lo up',
      `link set dev eth0 ${wire.join(' ')} up`,
      `address add ${machine.address}/32 dev eth0`,
      `route add ${routerAddress(number)} dev eth0 scope link`,
      `route add 10.${number}.0.0/16 via ${routerAddress(number)} src ${machine.address}`,
      `route add ${metadataAddress} via ${routerAddress(number)} src ${machine.address}`,
    ]);
    batch(router, [`link set dev ${far} ${wire.join(' ')} up`, `route add ${machine.address} dev ${far}`]);
    within(namespace, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet']);
  }

  return {
    gateway,
    entering: (machine) => [findProgram('nsenter') ?? 'nsenter', `--net=${namespaces}/${namespaceOf(machine)}`, '--'],
    isAttached,
    attach(machine) {
      if (!isAttached(machine)) connect(machine);
      within(namespaceOf(machine), ['nft', '-f', '-'], renderLoopback({ machine, gateway, services }));
    },
    detach,
    enforce(firewall) {
      const text = renderFirewall({ gateway, ...firewall });
      if (closed || text === enforced) return;
      within(router, ['nft', '-f', '-'], text);
      enforced = text;
    },
    close() {
      closed = true;
      removeAll(router, []);
    },
  };
}

function createRouter({ number, gateway, stateDirectory }: NetworkSettings): void {
  const router = nameOf(number);
  runProgram('ip', ['netns', 'add', router]);
  within(router, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
  runProgram('ip', ['link', 'add', router, 'type', 'veth', 'peer', 'name', uplink, 'netns', router]);
  batch(router, [
    'link set dev lo up',
    `link set dev ${uplink} ${wire.join(' ')} up`,
    `address add ${routerAddress(number)}/30 dev ${uplink}`,
  ]);
  batch(undefined, [
    `link set dev ${router} ${wire.join(' ')} up`,
    `address add ${gateway}/30 dev ${router}`,
    `route add 10.${number}.0.0/16 via ${routerAddress(number)} src ${gateway}`,
  ]);
  // Last: what has no owner is not whole.
  runProgram('ip', ['link', 'set', 'dev', router, 'alias', aliasFor(stateDirectory)]);
}

/** Everything of that network but the namespaces to keep. */
function removeAll(router: string, kept: readonly string[]): void {
  if (!kept.includes(router) && aliasOf(router) !== undefined) runProgram('ip', ['link', 'del', router]);
  for (const namespace of listNamespaces()) {
    const isOurs = namespace === router || namespace.startsWith(`${router}-`);
    if (isOurs && !kept.includes(namespace)) runProgram('ip', ['netns', 'del', namespace]);
  }
}

function listNamespaces(): string[] {
  try {
    return readdirSync(namespaces);
  } catch {
    return []; // until the first is made
  }
}

function existsNamespace(name: string): boolean {
  return listNamespaces().includes(name);
}

function routesTo(router: string, machine: MachineRecord): boolean {
  return runProgram('ip', ['-n', router, 'route', 'show', machine.address]).includes(`dev ${interfaceOf(machine)} `);
}

function within(namespace: string, [program = '', ...words]: readonly string[], input = ''): void {
  const path = program === 'nft' ? (findProgram('nft') ?? program) : program;
  runProgram('nsenter', [`--net=${namespaces}/${namespace}`, '--', path, ...words], input);
}

function batch(namespace: string | undefined, lines: readonly string[]): void {
  runProgram('ip', [...(namespace === undefined ? [] : ['-n', namespace]), '-batch', '-'], `${lines.join('\n')}\n`);
}

function aliasFor(stateDirectory: string): string {
  return `${aliasStart}${stateDirectory}`.slice(0, longestAlias);
}

/** Of a link of this machine: empty where it has none; `undefined` where there is no such link. */
function aliasOf(link: string): string | undefined {
  const found = JSON.parse(runProgram('ip', ['-json', 'link', 'show'])) as { ifname: string; ifalias?: string }[];
  const wanted = found.find(({ ifname }) => ifname === link);
  return wanted === undefined ? undefined : (wanted.ifalias ?? '');
}
