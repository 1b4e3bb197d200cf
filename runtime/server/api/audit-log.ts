// The audit log: a line for each call when it has its status, or for each item of a batch, with who called, as what he was let through, and what of
// it was granted. The fields are SPIRE's; what they say of requests is audit-fields.ts.
import { randomUUID } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import type { Logger } from '../../log.ts';
import type { CallContext, CallObserver, EndedCall } from '../../rpc/call-context.ts';
import type { Connection } from '../../rpc/connection.ts';
import { readStartTime } from '../../rpc/process-start.ts';
import { goStatusName, statusCode } from '../../rpc/status.ts';
import { methodName, serviceName } from '../../telemetry/rpc-key.ts';
import type { AuditedItem } from './audit-fields.ts';
import { auditedFields, auditedItems } from './audit-fields.ts';
import type { AuditLog, Grant } from './authorization.ts';

export interface CallAudit extends AuditLog {
  /** Probes ask for health every second: of them, refusals alone are recorded. */
  readonly observe: (method: string) => CallObserver;
}

const message = 'API accessed';
const ok: number = statusCode.OK;

export function createAuditLog(log: Logger): CallAudit {
  const grants = new WeakMap<CallContext, Grant>();
  /** Of a process, while it is there to be looked at: it may have gone when its call ends. */
  const paths = new WeakMap<Connection, string>();

  const record = (method: string, call: EndedCall): void => {
    const { context, code } = call;
    if (context === undefined) return;
    const service = serviceName(method);
    const isOk = code === ok;
    if (isOk && service === 'Health') return;
    const grant = grants.get(context);
    const base = {
      type: 'audit',
      service,
      method: methodName(method),
      request_id: randomUUID(),
      ...grant,
      ...callerFields(context.connection, paths.get(context.connection)),
    };
    const name = `${service}/${methodName(method)}`;
    const items = isOk ? auditedItems(name, call.request, call.response) : undefined;
    if (items !== undefined) {
      for (const { status, fields } of items) log.info({ ...base, ...fields, ...itemStatus(status) }, message);
      return;
    }
    // What nobody was let through to do is not looked into.
    const fields = grant === undefined ? {} : auditedFields(name, call.request, isOk ? call.response : undefined);
    log.info({ ...base, ...fields, ...statusFields(code, call.message) }, message);
  };

  return {
    granted(context, grant) {
      grants.set(context, grant);
      const { connection } = context;
      if (connection.transport !== 'unix' || paths.has(connection)) return;
      const path = pathOf(connection.pid, connection.startTime);
      if (path !== undefined) paths.set(connection, path);
    },
    observe: (method) => ({ ended: (call) => record(method, call) }),
  };
}

function itemStatus(status: AuditedItem['status']) {
  return statusFields(status?.code ?? statusCode.UNKNOWN, status?.message ?? 'no status');
}

function statusFields(code: number, text: string) {
  if (code === ok) return { status: 'success' };
  return { status: 'error', status_code: goStatusName(code), status_message: text };
}

function callerFields(connection: Connection, path: string | undefined): Record<string, string | number> {
  if (connection.transport === 'unix') {
    const { uid, gid } = connection;
    return { caller_uid: uid, caller_gid: gid, ...(path === undefined ? {} : { caller_path: path }) };
  }
  const { address: caller_addr, peerId } = connection;
  return { caller_addr, ...(peerId === undefined ? {} : { caller_id: String(peerId) }) };
}

/** Undefined where it cannot be told, or where the pid is another process's by now. */
function pathOf(pid: number, startTime: string | undefined): string | undefined {
  try {
    const path = readlinkSync(`/proc/${pid}/exe`);
    return startTime !== undefined && readStartTime(pid) === startTime ? path : undefined;
  } catch {
    return undefined;
  }
}
