// Links that are cut or slowed: of instances to everything, or between two sets of them. They stay so over the lab's restarts, and end with their
// instances. Only a network of the lab's own has links; where instances share the computer's, this refuses.
import type { LabContext } from '../context.ts';
import { GcpError } from '../gcp/errors.ts';
import type { Body } from '../gcp/fields.ts';
import { invalid } from '../gcp/fields.ts';
import type { LinkEnd, LinkRule } from '../instance/firewall.ts';
import { outside } from '../instance/firewall.ts';
import type { LabState } from '../state.ts';
import type { FaultKind } from './faults.ts';
import { findInstance, listInstances } from './instances.ts';

export interface LinkFault {
  /** One set of ids, or two: sorted, so that the same link is found again. */
  readonly between: readonly (readonly string[])[];
  readonly state: 'cut' | 'slow';
  /** Bytes a second, in each direction; of a slow one. */
  readonly rate?: number;
}

const leastRate = 1000;
const mostRate = 1_000_000_000;

export const linkFaults: FaultKind = {
  change(context, body) {
    if (context.isolation !== 'namespaces')
      throw new GcpError('FAILED_PRECONDITION', 'links are cut and slowed in a lab with --isolation namespaces only');
    const between = readEnds(context, body['between']);
    const others = (context.state.links ?? []).filter((one) => JSON.stringify(one.between) !== JSON.stringify(between));
    context.state.links = [...others, ...readState(body, between)];
    context.save();
  },
  list: ({ state }) =>
    (state.links ?? []).map((link) => ({ ...link, between: link.between.map((ids) => ids.map((id) => nameOf(state, id))) })), // prettier-ignore
};

/** For the network: a link ends with the last instance at one of its ends. */
export function linkRules(state: LabState): LinkRule[] {
  return (state.links ?? []).flatMap(({ between, rate }): LinkRule[] => {
    const sides = between.map((ids) => ids.flatMap((id) => endOf(state, id)));
    const [ends = [], others] = sides;
    if (sides.some(({ length }) => length === 0)) return [];
    return [{ ends, ...(others === undefined ? {} : { others }), ...(rate === undefined ? {} : { bytesPerSecond: rate }) }]; // prettier-ignore
  });
}

function readState({ state, rate }: Body, between: LinkFault['between']): LinkFault[] {
  if (state !== 'slow' && rate !== undefined) throw invalid('rate', 'is of a slow link');
  if (state === 'whole') return [];
  if (state === 'cut') return [{ between, state }];
  if (state !== 'slow') throw invalid('state', `must be cut, slow or whole, is ${JSON.stringify(state)}`);
  if (typeof rate !== 'number' || !Number.isInteger(rate) || rate < leastRate || rate > mostRate)
    throw invalid('rate', `must be bytes a second, ${leastRate} to ${mostRate}`);
  return [{ between, state, rate }];
}

/** `["a"]`, `["a", "b"]`, and with a list of names in place of a name. */
function readEnds(context: LabContext, between: unknown): string[][] {
  const sides: readonly unknown[] = Array.isArray(between) ? between : [];
  if (sides.length !== 1 && sides.length !== 2)
    throw invalid('between', 'must be one name or list of names, whose links to everything are meant, or two');
  const found = sides.map((side) => readNames(side).map((name) => (name === outside ? name : findInstance(context, name).id)).toSorted()); // prettier-ignore
  const [one = [], other = []] = found;
  const both = one.find((id) => other.includes(id));
  if (both !== undefined) throw invalid('between', `${nameOf(context.state, both)} is at both ends`);
  return found.toSorted((a, b) => (a.join() < b.join() ? -1 : 1));
}

function readNames(side: unknown): readonly string[] {
  const names: readonly unknown[] = Array.isArray(side) ? side : [side];
  if (names.length === 0 || !names.every((name) => typeof name === 'string'))
    throw invalid('between', 'an end is a name, or a list of names that is not empty');
  return names;
}

function endOf(state: LabState, id: string): LinkEnd[] {
  if (id === outside) return [outside];
  return listInstances({ state }).flatMap((one) => (one.id === id ? [one.machine] : []));
}

function nameOf(state: LabState, id: string): string {
  return listInstances({ state }).find((one) => one.id === id)?.name ?? id;
}
