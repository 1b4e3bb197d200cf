// The flags that choose agents, shared by `agent list` and `agent count`.
import type { ListAgentsRequest_Filter } from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { FlagSpecs, FlagValues } from '../../../cli/flags.ts';
import { CommandError } from '../server-command.ts';
import { parseMatchFlag, parseSelectorFlag } from '../wire-id.ts';

export const agentFilterFlags = {
  selector: { kind: 'list', help: 'A colon-delimited type:value selector. Can be used more than once' },
  attestationType: { kind: 'string', default: '', help: 'Filter by attestation type, like join_token or x509pop.' },
  canReattest: {
    kind: 'string',
    default: '',
    help: "Filter based on string received, 'true': agents that can reattest, 'false': agents that can't reattest, other value will return all.",
  },
  banned: {
    kind: 'string',
    default: '',
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

const timeShape = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2} [+-]\d{4} [+-]\d{2}(?:\d{2})?$/;

export function parseAgentFilterFlags(flags: FlagValues<typeof agentFilterFlags>): ListAgentsRequest_Filter {
  const { selector, expiresBefore } = flags;
  if (expiresBefore !== '' && !timeShape.test(expiresBefore)) {
    const form = '"2006-01-02 15:04:05 -0700 -07"';
    throw new CommandError(`date is not valid: parsing time "${expiresBefore}" as ${form}: cannot parse it`);
  }
  return {
    byAttestationType: flags.attestationType,
    byExpiresBefore: expiresBefore,
    bySelectorMatch:
      selector.length === 0
        ? undefined
        : { match: parseMatchFlag(flags.matchSelectorsOn), selectors: selector.map(parseSelectorFlag) },
    byBanned: threeWay(flags.banned),
    byCanReattest: threeWay(flags.canReattest),
  };
}

function threeWay(text: string): boolean | undefined {
  if (text === 'true') return true;
  return text === 'false' ? false : undefined;
}
