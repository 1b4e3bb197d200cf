// What a server's refusal means for the agent as such: attest again, or stop. Any other failure means: try again later.
import {
  PermissionDeniedDetails,
  PermissionDeniedDetails_Reason as Reason,
} from '../../proto/gen/spire/api/types/status.ts';
import { RpcError, statusCode } from '../rpc/status.ts';

export type Refusal = 'reattest' | 'banned';

const detailsType = 'spire.api.types.PermissionDeniedDetails';

const meanings: ReadonlyMap<number, Refusal> = new Map([
  [Reason.AGENT_EXPIRED, 'reattest'],
  [Reason.AGENT_NOT_ATTESTED, 'reattest'],
  [Reason.AGENT_NOT_ACTIVE, 'reattest'],
  [Reason.AGENT_MUST_REATTEST, 'reattest'],
  [Reason.AGENT_BANNED, 'banned'],
]);

/** Undefined where the server did not speak of the agent itself. */
export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof RpcError) || error.code !== statusCode.PERMISSION_DENIED) return undefined;
  const detail = error.details.find(({ type }) => type === detailsType);
  if (detail === undefined) return undefined;
  return meanings.get(PermissionDeniedDetails.decode(detail.value).reason);
}

export type AgentStopCode =
  | 'BANNED'
  | 'NOT_REATTESTABLE'
  | 'REATTESTATION_FAILED'
  | 'SVID_EXPIRED'
  | 'ATTESTATION_REFUSED'
  | 'SERVER_UNREACHABLE'
  | 'REBOOTSTRAP';

/** The agent cannot go on; whoever started it decides what follows. */
export class AgentStopped extends Error {
  readonly code: AgentStopCode;

  constructor(code: AgentStopCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AgentStopped';
    this.code = code;
  }
}
