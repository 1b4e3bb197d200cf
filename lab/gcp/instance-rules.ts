// What Compute Engine's firewall rules mean for the network: of those that are for an instance the one with the least priority's number decides, a
// denial before a permission; without one, nothing comes in and everything goes out. https://cloud.google.com/firewall/docs/firewalls
import { faultOf } from '../instance/firewall.ts';
import type { Guarded, Rule } from '../instance/firewall.ts';
import { invalid, objects, optionalText, text, texts } from './fields.ts';
import type { Body } from './fields.ts';
import type { Firewall, GceInstance, GcpState } from './state.ts';

const everything = '0.0.0.0/0';
const usualPriority = 1000;
const impliedEgress: Rule = { action: 'allow', protocol: 'all', ports: [], peers: [everything] };

export function guardInstances({ instances, firewalls }: GcpState): Guarded[] {
  const inOrder = firewalls
    .filter(({ body }) => body['disabled'] !== true)
    .map((firewall) => ({ firewall, place: priorityOf(firewall) * 2 + (denies(firewall) ? 0 : 1) }))
    .sort((a, b) => a.place - b.place)
    .map(({ firewall }) => firewall);
  return instances.map((instance) => {
    const own = inOrder.filter((firewall) => isFor(firewall, instance));
    return {
      machine: instance.machine,
      inbound: own.filter(isIngress).flatMap(({ body }) => readRules(body, sourcesOf(body, instances))),
      outbound: [
        ...own.filter((firewall) => !isIngress(firewall)).flatMap(({ body }) => readRules(body, rangesOf(body, 'destinationRanges'))), // prettier-ignore
        impliedEgress,
      ],
    };
  });
}

/** Refuses what the lab would not enforce as it is meant. */
export function checkFirewall(body: Body): void {
  const rules = [...readRules(body, sourcesOf(body, [])), ...readRules(body, rangesOf(body, 'destinationRanges'))];
  const fault = rules.map(faultOf).find((each) => each !== undefined);
  if (fault !== undefined) throw invalid('resource', `the lab cannot enforce ${fault}`);
}

function priorityOf({ body }: Firewall): number {
  return typeof body['priority'] === 'number' ? body['priority'] : usualPriority;
}

function denies({ body }: Firewall): boolean {
  return objects(body, 'denied').length > 0;
}

function isIngress({ body }: Firewall): boolean {
  return (optionalText(body, 'direction') ?? 'INGRESS') === 'INGRESS';
}

function isFor({ body }: Firewall, { tags, serviceAccount }: GceInstance): boolean {
  const targetTags = texts(body, 'targetTags');
  const targetAccounts = texts(body, 'targetServiceAccounts');
  if (targetTags.length === 0 && targetAccounts.length === 0) return true;
  return (
    targetTags.some((tag) => tags.includes(tag)) ||
    (serviceAccount !== undefined && targetAccounts.includes(serviceAccount.email))
  );
}

/** Where it names neither ranges nor tags nor accounts, everybody. */
function sourcesOf(body: Body, instances: readonly GceInstance[]): string[] {
  const tags = texts(body, 'sourceTags');
  const accounts = texts(body, 'sourceServiceAccounts');
  if (tags.length === 0 && accounts.length === 0) return rangesOf(body, 'sourceRanges');
  const members = instances.filter(
    (one) =>
      one.tags.some((tag) => tags.includes(tag)) ||
      (one.serviceAccount !== undefined && accounts.includes(one.serviceAccount.email)),
  );
  return [...ipv4(texts(body, 'sourceRanges')), ...members.map(({ machine }) => `${machine.address}/32`)];
}

function rangesOf(body: Body, name: 'sourceRanges' | 'destinationRanges'): string[] {
  const ranges = texts(body, name);
  return ranges.length === 0 ? [everything] : ipv4(ranges);
}

/** The lab's network has nothing else, so that rules for IPv6 have nothing to do. */
function ipv4(ranges: readonly string[]): string[] {
  return ranges.filter((range) => !range.includes(':'));
}

function readRules(body: Body, peers: readonly string[]): Rule[] {
  const read = (action: Rule['action'], name: 'allowed' | 'denied') =>
    objects(body, name).map((one): Rule => ({
      action,
      protocol: text(one, 'IPProtocol').toLowerCase(),
      ports: texts(one, 'ports').map(readPorts),
      peers,
    }));
  return [...read('deny', 'denied'), ...read('allow', 'allowed')];
}

function readPorts(ports: string): [number, number] {
  const [first, last = first] = ports.split('-').map(Number);
  return [first ?? 0, last ?? 0];
}
