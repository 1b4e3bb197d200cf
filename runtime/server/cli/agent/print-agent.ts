// An agent as people read it, as SPIRE prints it.
import type { Agent } from '../../../../proto/gen/spire/api/types/agent.ts';
import { formatId, formatTime } from '../wire-id.ts';

export function formatAgent(agent: Agent): string {
  const rows: [string, string | undefined][] = [
    ['SPIFFE ID', formatId(agent.id)],
    ['Attestation type', agent.attestationType],
    ['Expiration time', formatTime(agent.x509svidExpiresAt)],
    agent.banned ? ['Banned', 'true'] : ['Serial number', agent.x509svidSerialNumber],
    ['Can re-attest', String(agent.canReattest)],
    ['Agent version', agent.agentVersion === '' ? undefined : agent.agentVersion],
  ];
  return `${rows.flatMap(([name, value]) => (value === undefined ? [] : [formatRow(name, value)])).join('')}\n`;
}

export function formatAgentSelectors({ selectors }: Agent): string {
  return selectors.map(({ type, value }) => formatRow('Selectors', `${type}:${value}`)).join('');
}

function formatRow(name: string, value: string): string {
  return `${name.padEnd(18)}: ${value}\n`;
}
