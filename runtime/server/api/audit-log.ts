// The audit log: one line for each call, with who called and as what it was let through. Requests are not logged: they may carry evidence.
import type { Logger } from '../../log.ts';
import { RpcError, statusName } from '../../rpc/status.ts';
import type { AuditLog } from './authorization.ts';
import type { Caller } from './caller.ts';

export function createAuditLog(log: Logger): AuditLog {
  return {
    record(context, caller, grantedAs, error) {
      const fields = { type: 'audit', method: context.method, authorized_as: grantedAs, ...callerFields(caller) };
      if (error === undefined) {
        log.info({ ...fields, status: 'OK' }, 'API accessed');
        return;
      }
      const status = error instanceof RpcError ? statusName(error.code) : 'INTERNAL';
      log.info({ ...fields, status, status_message: error.message }, 'API accessed');
    },
  };
}

function callerFields(caller: Caller): Record<string, string | number> {
  if (caller.kind === 'local') return { caller_uid: caller.uid, caller_gid: caller.gid, caller_pid: caller.pid };
  const id = caller.svid === undefined ? {} : { caller_id: String(caller.svid.id) };
  return { caller_addr: caller.address, ...id };
}
