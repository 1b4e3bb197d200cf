// The agent's audit log: one line for each SVID that goes out to a workload, with who got it and what it was, never the SVID itself. Both APIs that
// deliver SVIDs write it. What a process is may be nobody's business, so its selectors are counted, not shown.
import type { Logger } from '../log.ts';
import type { CallContext } from '../rpc/call-context.ts';
import type { JwtSvid } from './cache/jwt-svids.ts';
import type { WorkloadIdentity } from './cache/svid-cache.ts';
import type { AgentEntry } from './sync/entry.ts';

/** Whom an SVID goes to: the call that it answers, and how many selectors describe its caller. */
export interface Recipient {
  readonly context: CallContext;
  readonly selectorCount: number;
}

export interface DeliveryAudit {
  x509Svid(recipient: Recipient, identity: WorkloadIdentity): void;
  jwtSvid(recipient: Recipient, entry: AgentEntry, audience: readonly string[], svid: JwtSvid): void;
}

const message = 'SVID delivered';

export function createDeliveryAudit(log: Logger): DeliveryAudit {
  return {
    x509Svid(recipient, { entry, svid }) {
      log.info(
        {
          ...recipientFields(recipient),
          ...entryFields(entry),
          svid_type: 'x509',
          serial_num: svid.serialNumber,
          expires_at: rfc3339(svid.notAfter),
        },
        message,
      );
    },
    jwtSvid(recipient, entry, audience, { expiresAt }) {
      log.info(
        {
          ...recipientFields(recipient),
          ...entryFields(entry),
          svid_type: 'jwt',
          audience: audience.join(','),
          expires_at: rfc3339(expiresAt),
        },
        message,
      );
    },
  };
}

function recipientFields({ context, selectorCount }: Recipient) {
  const { connection, method } = context;
  const caller =
    connection.transport === 'unix' ? { pid: connection.pid, uid: connection.uid, gid: connection.gid } : {};
  return { type: 'audit', method, ...caller, selector_count: selectorCount };
}

function entryFields({ id, spiffeId }: AgentEntry) {
  return { entry_id: id, spiffe_id: spiffeId.toString() };
}

function rfc3339(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
