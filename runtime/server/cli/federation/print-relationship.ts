// A federation relationship as people read it, as SPIRE prints it, and the outcome of creating or updating some.
import type { FederationRelationship } from '../../../../proto/gen/spire/api/types/federationrelationship.ts';
import type { Status } from '../../../../proto/gen/spire/api/types/status.ts';
import { goStatusName } from '../../../rpc/status.ts';
import { CommandError } from '../server-command.ts';
import type { Terminal } from '../terminal.ts';

export function formatRelationship(relationship: FederationRelationship): string {
  const { trustDomain, bundleEndpointUrl, bundleEndpointProfile: profile } = relationship;
  const rows: [string, string][] = [
    ['Trust domain', trustDomain],
    ['Bundle endpoint URL', bundleEndpointUrl],
  ];
  if (profile?.$case === 'httpsWeb') rows.push(['Bundle endpoint profile', 'https_web']);
  if (profile?.$case === 'httpsSpiffe')
    rows.push(['Bundle endpoint profile', 'https_spiffe'], ['Endpoint SPIFFE ID', profile.value.endpointSpiffeId]);
  return rows.map(([name, value]) => `${name.padEnd(26)}: ${value}\n`).join('');
}

export interface RelationshipResult {
  readonly status?: Status | undefined;
  readonly federationRelationship?: FederationRelationship | undefined;
}

/** The server does not send back what it refused. Throws when there is any, so that the exit code says so. */
export function printResults(
  act: 'create' | 'update',
  results: readonly RelationshipResult[],
  asked: readonly FederationRelationship[],
  terminal: Terminal,
): void {
  const all = results.map((result, index) => ({ ...result, asked: asked[index] }));
  const failed = all.filter(({ status }) => status?.code !== 0);
  for (const { federationRelationship } of all.filter(({ status }) => status?.code === 0)) {
    if (federationRelationship !== undefined) terminal.out(`\n${formatRelationship(federationRelationship)}`);
  }
  for (const { status, asked: relationship } of failed) {
    const reason = `(code: ${goStatusName(status?.code ?? 2)}, msg: ${JSON.stringify(status?.message ?? '')})`;
    terminal.out('\n');
    terminal.err(`Failed to ${act} the following federation relationship ${reason}:\n`);
    if (relationship !== undefined) terminal.err(formatRelationship(relationship));
  }
  if (failed.length > 0) throw new CommandError(`failed to ${act} one or more federation relationships`);
}
