// The flags that choose agents, shared by `agent list` and `agent count`.
import type { ListAgentsRequest_Filter } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { FlagSpecs, FlagValues } from '../../../cli/flags.ts';
import type { Selector } from '../../../../proto/gen/spire/api/types/selector.ts';
import { CommandError } from '../server-command.ts';
import { checkGoTime } from './go-time.ts';
import { parseMatchFlag, parseSelectorFlag } from '../wire-id.ts';

/** Any text will do: what is neither true nor false means both. */
const threeWay = { kind: 'value', default: '', read: (text: string) => text } as const;

export const agentFilterFlags = {
  selector: { kind: 'list', help: 'A colon-delimited type:value selector. Can be used more than once' },
  attestationType: { kind: 'string', default: '', help: 'Filter by attestation type, like join_token or x509pop.' },
  canReattest: {
    ...threeWay,
    help: "Filter based on string received, 'true': agents that can reattest, 'false': agents that can't reattest, other value will return all.",
  },
  banned: {
    ...threeWay,
    help: "Filter based on string received, 'true': banned agents, 'false': not banned agents, other value will return all.",
  },
  expiresBefore: {
    kind: 'string',
    default: '',
    help: 'Filter by expiration time (format: "2006-01-02 15:04:05 -0700 -07")',
  },
  matchSelectorsOn: {
    kind: 'string',
    default: 'superset',
    help: 'The match mode used when filtering by selectors. Options: exact, any, superset and subset',
  },
} as const satisfies FlagSpecs;

export function parseAgentFilterFlags(flags: FlagValues<typeof agentFilterFlags>): ListAgentsRequest_Filter {
  const { selector, expiresBefore } = flags;
  const bySelectorMatch =
    selector.length === 0
      ? undefined
      : {
          match: parseMatchFlag(flags.matchSelectorsOn, 'unsupported match behavior'),
          selectors: selector.map(parseFilterSelector),
        };
  if (expiresBefore !== '') checkTime(expiresBefore);
  return {
    byAttestationType: flags.attestationType,
    byExpiresBefore: expiresBefore,
    bySelectorMatch,
    byBanned: trueOrFalse(flags.banned),
    byCanReattest: trueOrFalse(flags.canReattest),
  };
}

function trueOrFalse(text: string): boolean | undefined {
  if (text === 'true') return true;
  return text === 'false' ? false : undefined;
}

function parseFilterSelector(text: string): Selector {
  try {
    return parseSelectorFlag(text);
  } catch (cause) {
    throw new CommandError(`error parsing selector ${JSON.stringify(text)}`, { cause });
  }
}

function checkTime(text: string): void {
  try {
    checkGoTime(text);
  } catch (cause) {
    throw new CommandError('date is not valid', { cause });
  }
}
