// Selectors, and the filters that match sets of them, between the API and the store.
import type { FederatesWithMatch } from '../../../../proto/gen/spire/api/types/federateswith.ts';
import type { Selector as WireSelector, SelectorMatch } from '../../../../proto/gen/spire/api/types/selector.ts';
import type { Selector } from '../../../spiffe/selector.ts';
import { parseTrustDomain } from '../../../spiffe/trust-domain.ts';
import type { SelectorFilter, SetMatch } from '../../store/records.ts';

export function parseSelectors(wire: readonly WireSelector[]): Selector[] {
  return wire.map(({ type, value }) => {
    if (type === '') throw new Error('missing selector type');
    if (type.includes(':')) throw new Error("selector type contains ':'");
    if (value === '') throw new Error('missing selector value');
    return { type, value };
  });
}

export function encodeSelectors(selectors: readonly Selector[]): WireSelector[] {
  return selectors.map(({ type, value }) => ({ type, value }));
}

/** The numbers of both MatchBehavior enums, which are the same. */
const matches: Readonly<Record<number, SetMatch>> = { 0: 'exact', 1: 'subset', 2: 'superset', 3: 'any' };

function parseMatch(match: number): SetMatch {
  const known = matches[match];
  if (known === undefined) throw new Error(`unhandled match behavior "${match}"`);
  return known;
}

export function parseSelectorMatch({ match, selectors }: SelectorMatch): SelectorFilter {
  const parsed = parseSelectors(selectors);
  if (parsed.length === 0) throw new Error('empty selector set');
  return { match: parseMatch(match), selectors: parsed };
}

export function parseFederatesWithMatch({ match, trustDomains }: FederatesWithMatch): {
  match: SetMatch;
  trustDomains: string[];
} {
  const parsed = trustDomains.map((trustDomain) => parseTrustDomain(trustDomain).name);
  if (parsed.length === 0) throw new Error('empty trust domain set');
  return { match: parseMatch(match), trustDomains: parsed };
}
