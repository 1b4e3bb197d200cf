// SPIFFE IDs and selectors between the command line and the API's messages.
import type { Selector } from '../../../proto/gen/spire/api/types/selector.ts';
import type { SPIFFEID } from '../../../proto/gen/spire/api/types/spiffeid.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import { CommandError } from './server-command.ts';

export function parseId(text: string): SPIFFEID {
  const id = parseSpiffeId(text);
  return { trustDomain: id.trustDomain.name, path: id.path };
}

export function formatId(id: SPIFFEID | undefined): string {
  return id === undefined ? '' : `spiffe://${id.trustDomain}${id.path}`;
}

/** All after the first colon is the value; whether type and value will do is the server's decision. */
export function parseSelectorFlag(text: string): Selector {
  const colon = text.indexOf(':');
  if (colon === -1) throw new CommandError(`selector "${text}" must be formatted as type:value`);
  return { type: text.slice(0, colon), value: text.slice(colon + 1) };
}

/** The numbers of both MatchBehavior enums. */
const matches = { exact: 0, subset: 1, superset: 2, any: 3 } as const;

/** Each kind of list has its own words for a match that is none. */
export function parseMatchFlag(text: string, refusal: string): (typeof matches)[keyof typeof matches] {
  if (!Object.hasOwn(matches, text)) throw new CommandError(refusal);
  return matches[text as keyof typeof matches];
}

/** A Go time in UTC as its String method prints it. */
export function formatTime(unixSeconds: number): string {
  return `${new Date(unixSeconds * 1000).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}

/** A Go time in UTC in its RFC 3339 form. */
export function formatRfc3339(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().replace('.000Z', 'Z');
}
