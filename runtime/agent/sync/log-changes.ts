// What SPIRE's agent logs of entries that come, change and go, and of their SVIDs, in its words: scripts wait for them.
import type { Logger } from '../../log.ts';
import type { WorkloadSvid } from '../cache/workload-svid.ts';
import type { AgentEntry } from './entry.ts';
import type { Entries } from './fetch-entries.ts';

/** An entry that did not change is the same object. */
export function logChanges(before: Entries, after: Entries, log: Logger): void {
  if (before === after || !log.isLevelEnabled('debug')) return;
  const say = ({ id, spiffeId }: AgentEntry, what: string) =>
    log.debug({ entry: id, spiffe_id: spiffeId.toString() }, `Entry ${what}`);
  for (const entry of after.values()) {
    const known = before.get(entry.id);
    if (known === undefined) say(entry, 'created');
    else if (known !== entry) say(entry, 'updated');
  }
  for (const entry of before.values()) if (!after.has(entry.id)) say(entry, 'removed');
}

/** An SVID was signed for the entry, in place of the one that it had. */
export function logSigning(entry: AgentEntry | undefined, held: WorkloadSvid | undefined, log: Logger): void {
  if (entry === undefined) return;
  const fields = { spiffe_id: entry.spiffeId.toString(), entry_id: entry.id };
  if (held === undefined) log.info(fields, 'Creating X509-SVID');
  else log.info({ ...fields, expires_at: new Date(held.notAfter).toISOString() }, 'Renewing X509-SVID');
}
