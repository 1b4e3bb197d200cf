// Attested agents as the API shows them, and the filters that choose among them.
import type {
  CountAgentsRequest_Filter,
  ListAgentsRequest_Filter,
} from '../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { Agent, AgentMask } from '../../../../proto/gen/spire/api/types/agent.ts';
import { parseSpiffeId } from '../../../spiffe/spiffe-id.ts';
import type { AgentFilter, AgentRecord } from '../../store/records.ts';
import { checkArgument } from '../refusal.ts';
import { encodeSelectors, parseSelectorMatch } from './selectors.ts';
import { encodeSpiffeId } from './spiffe-id.ts';

export function encodeAgent(record: AgentRecord, mask: AgentMask | undefined): Agent {
  const has = (field: keyof AgentMask) => mask === undefined || mask[field];
  return {
    id: encodeSpiffeId(parseSpiffeId(record.spiffeId)),
    attestationType: has('attestationType') ? record.attestationType : '',
    // A banned agent has no serial number any more: peers of old tell a ban by that.
    x509svidSerialNumber: has('x509svidSerialNumber') && !record.banned ? record.x509SvidSerialNumber : '',
    x509svidExpiresAt: has('x509svidExpiresAt') ? record.x509SvidExpiresAt : 0,
    selectors: has('selectors') ? encodeSelectors(record.selectors) : [],
    banned: has('banned') && record.banned,
    canReattest: has('canReattest') && record.canReattest,
    agentVersion: has('agentVersion') ? (record.agentVersion ?? '') : '',
  };
}

type WireFilter = CountAgentsRequest_Filter | ListAgentsRequest_Filter;

export function parseAgentFilter(wire: WireFilter | undefined): AgentFilter {
  if (wire === undefined) return {};
  const { byAttestationType, byBanned, byCanReattest, byExpiresBefore, bySelectorMatch } = wire;
  return {
    ...(byAttestationType !== '' && { byAttestationType }),
    ...(byBanned !== undefined && { byBanned }),
    ...(byCanReattest !== undefined && { byCanReattest }),
    ...(bySelectorMatch !== undefined && {
      bySelectors: checkArgument('failed to parse selectors', () => parseSelectorMatch(bySelectorMatch)),
    }),
    ...(byExpiresBefore !== '' && {
      byExpiresBefore: checkArgument('failed to parse filter', () => parseExpiresBefore(byExpiresBefore)),
    }),
  };
}

const timeShape = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}) ([+-]\d{2})(\d{2}) [+-]\d{2}(?:\d{2})?$/;

/** Unix seconds of `2006-01-02 15:04:05 -0700 -07`, the one form that SPIRE's commands send. */
export function parseExpiresBefore(text: string): number {
  const parts = timeShape.exec(text);
  const ms =
    parts === null ? NaN : Date.parse(`${parts[1] ?? ''}T${parts[2] ?? ''}${parts[3] ?? ''}:${parts[4] ?? ''}`);
  if (Number.isNaN(ms)) throw new Error(`parsing time "${text}" as "2006-01-02 15:04:05 -0700 -07": cannot parse it`);
  return Math.floor(ms / 1000);
}
