// The rules between machines, as nft's text for the router that all their packets pass: whole, so that each change is one step that nothing slips
// through. Connections that a rule let in go on when it is gone, as both clouds have it for connections that they track.
import { isIPv4 } from 'node:net';
import type { MachineRecord } from './machines.ts';

export interface Rule {
  readonly action: 'allow' | 'deny';
  /** A name or number of IP's protocols, or all of them. */
  readonly protocol: string;
  /** First and last; none: every port. */
  readonly ports: readonly (readonly [number, number])[];
  /** IPv4 networks. */
  readonly peers: readonly string[];
}

/** The first rule that fits decides; what none fits is denied. */
export interface Guarded {
  readonly machine: MachineRecord;
  readonly inbound: readonly Rule[];
  readonly outbound: readonly Rule[];
  /** How far answers of the metadata service go; absent: as far as they like. */
  readonly metadataHops?: number;
}

/** The machine that the lab runs on, as an end of a link. */
export const outside = 'outside';
export type LinkEnd = MachineRecord | typeof outside;

export interface LinkRule {
  readonly ends: readonly LinkEnd[];
  /** Absent: the ends' links to everything. */
  readonly others?: readonly LinkEnd[];
  /** Absent: nothing passes. For each direction. */
  readonly bytesPerSecond?: number;
}

export interface Firewall {
  readonly gateway: string;
  readonly metadataPort: number;
  readonly guarded: readonly Guarded[];
  readonly links: readonly LinkRule[];
}

export const metadataAddress = '169.254.169.254';
export const uplink = 'uplink';
/** What one machine may send ahead of its rate, and more than one packet as Linux hands it on. */
const leastBurst = 20_000;

/** What is wrong with a rule, which came from outside; `undefined` where it can be enforced. */
export function faultOf({ protocol, ports, peers }: Rule): string | undefined {
  const isProtocol = ['all', 'tcp', 'udp', 'icmp', 'esp', 'ah', 'sctp'].includes(protocol) || isWithin(protocol, 255);
  if (!isProtocol) return `protocol '${protocol}'`;
  const wrong = ports.find(([first, last]) => !isWithin(first, 65_535) || !isWithin(last, 65_535) || first > last);
  if (wrong !== undefined) return `ports ${wrong.join('-')}`;
  const peer = peers.find((each) => !isNetwork(each));
  return peer === undefined ? undefined : `network '${peer}'`;
}

function isWithin(value: string | number, most: number): boolean {
  return (typeof value === 'number' ? Number.isInteger(value) : /^\d{1,5}$/.test(value)) && Number(value) >= 0 && Number(value) <= most; // prettier-ignore
}

function isNetwork(text: string): boolean {
  const [address = '', bits = '32', ...more] = text.split('/');
  return isIPv4(address) && isWithin(bits, 32) && more.length === 0;
}

export function interfaceOf(machine: MachineRecord): string {
  return `m${machine.number}`;
}

export function renderFirewall({ gateway, metadataPort, guarded, links }: Firewall): string {
  const senders = [
    `${quoted(uplink)} . ${gateway}`,
    ...guarded.map(({ machine }) => `${quoted(interfaceOf(machine))} . ${machine.address}`),
  ];
  const jumps = (way: string) =>
    guarded.map(({ machine }) => `${quoted(interfaceOf(machine))} : jump ${way}-${interfaceOf(machine)}`);
  const hops = guarded.flatMap(({ machine, metadataHops }) =>
    metadataHops === undefined
      ? []
      : `oifname ${quoted(interfaceOf(machine))} ct original ip daddr ${metadataAddress} ip ttl set ${metadataHops}`,
  );
  const blocks = [
    block('metadata', 'type nat hook prerouting priority dstnat; policy accept;', [
      `iifname != ${quoted(uplink)} ip daddr ${metadataAddress} tcp dport 80 dnat ip to ${gateway}:${metadataPort}`,
    ]),
    block('hops', 'type filter hook postrouting priority mangle; policy accept;', hops),
    block('links', 'type filter hook forward priority -10; policy accept;', [
      `ct original ip daddr ${metadataAddress} accept`,
      ...links.flatMap(renderLink),
    ]),
    ...guarded.flatMap(({ machine, inbound, outbound }) => [
      block(`out-${interfaceOf(machine)}`, '', [...outbound.flatMap((rule) => renderRule(rule, 'daddr')), 'drop']),
      block(`in-${interfaceOf(machine)}`, '', [...inbound.flatMap((rule) => renderRule(rule, 'saddr')), 'drop']),
    ]),
    block('forward', 'type filter hook forward priority filter; policy drop;', [
      // Nobody speaks for another.
      `iifname . ip saddr != { ${senders.join(', ')} } drop`,
      'ct state established,related accept',
      'ct state invalid drop',
      `ct original ip daddr ${metadataAddress} accept`,
      `ip daddr ${gateway} tcp dport ${metadataPort} drop`,
      ...(guarded.length === 0 ? [] : [`iifname vmap { ${jumps('out').join(', ')} }`, `oifname vmap { ${jumps('in').join(', ')} }`]), // prettier-ignore
      'accept',
    ]),
  ];
  return `table inet espalier\ndelete table inet espalier\ntable inet espalier {\n${blocks.join('\n')}\n}\n`;
}

/** For a machine's own namespace: its loopback leads to services of the machine that the lab runs on, as if they were its neighbours on there. */
export function renderLoopback(on: {
  readonly machine: MachineRecord;
  readonly gateway: string;
  readonly services: readonly { readonly address: string; readonly port: number }[];
}): string {
  const { machine, gateway, services } = on;
  const blocks = [
    block('services', 'type nat hook output priority -100; policy accept;', [
      ...services.map(({ address, port }) => `ip daddr ${address} tcp dport ${port} dnat ip to ${gateway}:${port}`),
    ]),
    block('senders', 'type nat hook postrouting priority srcnat; policy accept;', [
      `oifname "eth0" ip saddr 127.0.0.0/8 snat ip to ${machine.address}`,
    ]),
  ];
  return `table inet espalier\ndelete table inet espalier\ntable inet espalier {\n${blocks.join('\n')}\n}\n`;
}

function block(name: string, hook: string, lines: readonly string[]): string {
  return [`chain ${name} {`, ...[hook, ...lines].filter((line) => line !== '').map((line) => `  ${line}`), '}'].join('\n'); // prettier-ignore
}

function renderRule({ action, protocol, ports, peers }: Rule, end: 'saddr' | 'daddr'): string[] {
  const what = protocol === 'all' ? '' : ` meta l4proto ${protocol}`;
  const where = ports.length === 0 ? '' : ` th dport { ${ports.map(([first, last]) => (first === last ? first : `${first}-${last}`)).join(', ')} }`; // prettier-ignore
  return peers.map((peer) => `ip ${end} ${peer}${what}${where} ${action === 'allow' ? 'return' : 'drop'}`);
}

function renderLink({ ends, others, bytesPerSecond }: LinkRule): string[] {
  const [one, other] = [ends, others].map((side) => side === undefined ? undefined : `{ ${side.map((end) => quoted(end === outside ? uplink : interfaceOf(end))).join(', ')} }`); // prettier-ignore
  const verdict =
    bytesPerSecond === undefined
      ? 'drop'
      : `limit rate over ${bytesPerSecond} bytes/second burst ${Math.max(leastBurst, Math.round(bytesPerSecond / 4))} bytes drop`;
  const pass = (from: string | undefined, to: string | undefined) =>
    [from === undefined ? [] : `iifname ${from}`, to === undefined ? [] : `oifname ${to}`, verdict].flat().join(' ');
  return [pass(one, other), pass(other, one)];
}

function quoted(name: string): string {
  return `"${name}"`;
}
