// What a caller gets for a method, by the rules (spire-rules §3.4): transport first, then the right to call, then the method's own answer.
import { reasonName } from './call.ts';
import type { MatrixCaller } from './callers.ts';
import type { RpcRow } from './rpcs.ts';

export function expectedOutcome(row: RpcRow, caller: MatrixCaller): string {
  if (row.transport === 'unix' && caller.transport === 'tcp') return 'UNIMPLEMENTED …';
  if (row.roles.some((role) => caller.roles.includes(role))) return caller.exceptions?.[row.method] ?? row.answer;
  const denied = `PERMISSION_DENIED authorization denied for method ${row.method}`;
  // Only where an agent would have been let through does the caller learn why it is not taken for one.
  if (!row.roles.includes('agent') || caller.transport === 'unix') return denied;
  return caller.reason === undefined ? denied : `${denied} (${reasonName(caller.reason)})`;
}
