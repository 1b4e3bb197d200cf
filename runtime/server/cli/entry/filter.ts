// The flags that choose entries, shared by `entry show` and `entry count`.
import type { ListEntriesRequest_Filter } from '../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import type { Selector } from '../../../../proto/gen/spire/api/types/selector.ts';
import type { SPIFFEID } from '../../../../proto/gen/spire/api/types/spiffeid.ts';
import type { FlagSpecs, FlagValues } from '../../../cli/flags.ts';
import { CommandError } from '../server-command.ts';
import { parseId, parseMatchFlag, parseSelectorFlag } from '../wire-id.ts';

export function filterFlags(act: 'show' | 'count') {
  return {
    parentID: { kind: 'string', default: '', help: `The Parent ID of the records to ${act}` },
    spiffeID: { kind: 'string', default: '', help: `The SPIFFE ID of the records to ${act}` },
    downstream: {
      kind: 'boolean',
      help: 'A boolean value that, when set, indicates that the entry describes a downstream SPIRE server',
    },
    selector: { kind: 'list', help: 'A colon-delimited type:value selector. Can be used more than once' },
    federatesWith: {
      kind: 'list',
      help: 'SPIFFE ID of a trust domain an entry is federate with. Can be used more than once',
    },
    matchFederatesWithOn: {
      kind: 'string',
      default: 'superset',
      help: 'The match mode used when filtering by federates with. Options: exact, any, superset and subset',
    },
    matchSelectorsOn: {
      kind: 'string',
      default: 'superset',
      help: 'The match mode used when filtering by selectors. Options: exact, any, superset and subset',
    },
    hint: { kind: 'string', default: '', help: `The Hint of the records to ${act} (optional)` },
  } as const satisfies FlagSpecs;
}

export function parseFilterFlags(flags: FlagValues<ReturnType<typeof filterFlags>>): ListEntriesRequest_Filter {
  const { selector, federatesWith } = flags;
  return {
    byParentId: flags.parentID === '' ? undefined : parseFlagId('parent ID', flags.parentID),
    bySpiffeId: flags.spiffeID === '' ? undefined : parseFlagId('SPIFFE ID', flags.spiffeID),
    bySelectors:
      selector.length === 0
        ? undefined
        : { match: parseMatch(flags.matchSelectorsOn), selectors: selector.map(parseFilterSelector) },
    byFederatesWith:
      federatesWith.length === 0
        ? undefined
        : { match: parseMatch(flags.matchFederatesWithOn), trustDomains: [...federatesWith] },
    byHint: flags.hint === '' ? undefined : flags.hint,
    byDownstream: flags.downstream,
  };
}

function parseFlagId(what: string, text: string): SPIFFEID {
  try {
    return parseId(text);
  } catch (cause) {
    throw new CommandError(`error parsing ${what} "${text}"`, { cause });
  }
}

function parseFilterSelector(text: string): Selector {
  try {
    return parseSelectorFlag(text);
  } catch (cause) {
    throw new CommandError('error parsing selectors', { cause });
  }
}

function parseMatch(text: string) {
  return parseMatchFlag(text, `match behavior ${JSON.stringify(text)} unknown`);
}
