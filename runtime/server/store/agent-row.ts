// An attested agent as a row, and the way back.
import type { AgentRecord } from './records.ts';
import { decodeSelectors, encodeSelectors } from './selector-text.ts';

export interface AgentRow {
  readonly seq: number;
  readonly spiffe_id: string;
  readonly attestation_type: string;
  readonly x509_svid_serial_number: string;
  readonly x509_svid_expires_at: number;
  readonly new_x509_svid_serial_number: string;
  readonly new_x509_svid_expires_at: number;
  readonly banned: boolean;
  readonly can_reattest: boolean;
  readonly selectors: string[];
  readonly agent_version: string | null;
  readonly attested_key: string | null;
}

/** What `agentValues` gives a value for. */
export const agentColumns = [
  'spiffe_id',
  'attestation_type',
  'x509_svid_serial_number',
  'x509_svid_expires_at',
  'new_x509_svid_serial_number',
  'new_x509_svid_expires_at',
  'banned',
  'can_reattest',
  'selectors',
  'agent_version',
  'attested_key',
] as const;

export function agentValues(agent: AgentRecord): unknown[] {
  return [
    agent.spiffeId,
    agent.attestationType,
    agent.x509SvidSerialNumber,
    agent.x509SvidExpiresAt,
    agent.newX509SvidSerialNumber,
    agent.newX509SvidExpiresAt,
    agent.banned,
    agent.canReattest,
    encodeSelectors(agent.selectors),
    agent.agentVersion ?? null,
    agent.attestedKey ?? null,
  ];
}

export function agentOfRow(row: AgentRow): AgentRecord {
  return {
    spiffeId: row.spiffe_id,
    attestationType: row.attestation_type,
    x509SvidSerialNumber: row.x509_svid_serial_number,
    x509SvidExpiresAt: row.x509_svid_expires_at,
    newX509SvidSerialNumber: row.new_x509_svid_serial_number,
    newX509SvidExpiresAt: row.new_x509_svid_expires_at,
    banned: row.banned,
    canReattest: row.can_reattest,
    selectors: decodeSelectors(row.selectors),
    ...(row.agent_version === null ? {} : { agentVersion: row.agent_version }),
    ...(row.attested_key === null ? {} : { attestedKey: row.attested_key }),
  };
}
