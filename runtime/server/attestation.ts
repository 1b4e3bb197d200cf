// Judges a node's evidence: by the attestor of its type, or, for join tokens, by the store, where a token can be taken once. Says who the node is;
// whether it gets an SVID is attest-agent.ts.
import type { AttestationData } from '../../proto/gen/spire/api/types/attestation.ts';
import { AttestError } from '../attest/attest-error.ts';
import type { AttestContext, AttestResult, Challenge, ServerAttestor } from '../attest/attestor.ts';
import { failedPrecondition, internal, invalidArgument, RpcError, statusCode } from '../rpc/status.ts';
import { checkPathSegment } from '../spiffe/id-text.ts';
import { agentId, isServerPath } from '../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';
import { attempt, errorText } from './api/refusal.ts';
import type { JoinTokenStore } from './store/store.ts';

export const joinTokenType = 'join_token';

export interface NodeAttestationOptions {
  readonly trustDomain: TrustDomain;
  readonly attestors: readonly ServerAttestor[];
  readonly joinTokens: Pick<JoinTokenStore, 'fetchJoinToken' | 'takeJoinToken'>;
  readonly clock: () => number;
}

export interface NodeAttestationContext extends AttestContext {
  /** Whether the caller asks for the answer that it did not get: the agent of that ID was made for its very key, and has not renewed since. */
  isAskedAgain(spiffeId: SpiffeId): Promise<boolean>;
}

export interface JudgedNode extends AttestResult {
  /** To be taken away when the agent is recorded, no sooner. */
  readonly joinToken?: string;
}

export type NodeAttestation = (
  data: AttestationData,
  challenge: Challenge,
  context: NodeAttestationContext,
) => Promise<JudgedNode>;

export function createNodeAttestation({
  trustDomain,
  attestors,
  joinTokens,
  clock,
}: NodeAttestationOptions): NodeAttestation {
  const byType = new Map(attestors.map((attestor) => [attestor.type, attestor]));

  return async (data, challenge, context) => {
    if (data.type === joinTokenType) return attestJoinToken(data.payload, context);
    const attestor = byType.get(data.type);
    if (attestor === undefined) {
      throw failedPrecondition(`error getting node attestor: could not find node attestor type "${data.type}"`);
    }
    const result = await judge(attestor, data.payload, challenge, context);
    checkAgentId(data.type, result);
    return result;
  };

  async function attestJoinToken(payload: Uint8Array, context: NodeAttestationContext): Promise<JudgedNode> {
    const asked = decodeToken(payload, trustDomain);
    const found = await attempt('failed to fetch join token', () => joinTokens.fetchJoinToken(asked));
    // From the stored token, never from what the agent sent, unless it stands in the ID of an agent that is there.
    const joinToken = found?.token ?? asked;
    const spiffeId = agentId(trustDomain, joinTokenType, joinToken);
    if (found === undefined && !(await context.isAskedAgain(spiffeId))) throw noSuchToken();
    if (found !== undefined && found.expiresAt * 1000 < clock()) {
      await attempt('failed to delete join token', () => joinTokens.takeJoinToken(joinToken));
      throw invalidArgument('join token expired');
    }
    return { spiffeId, selectors: [], canReattest: false, joinToken };
  }

  /** A path that an attestor made out of the node's own words must not lead anywhere else. */
  function checkAgentId(type: string, { spiffeId }: AttestResult): void {
    if (isServerPath(spiffeId.path)) throw internal('agent ID cannot collide with the server ID');
    const inPlace = spiffeId.trustDomain.equals(trustDomain) && spiffeId.path.startsWith(`/spire/agent/${type}/`);
    if (!inPlace)
      throw internal(`invalid agent ID: "${String(spiffeId)}" is not in the agent namespace for attestor "${type}"`);
  }
}

/** Tokens are path segments of an agent's ID: what is none was never made here, and a database might fold it into one that was. */
function decodeToken(payload: Uint8Array, trustDomain: TrustDomain): string {
  try {
    const token = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload);
    checkPathSegment(token);
    agentId(trustDomain, joinTokenType, token);
    return token;
  } catch (cause) {
    throw noSuchToken(cause);
  }
}

export function noSuchToken(cause?: unknown): RpcError {
  return invalidArgument('failed to attest: join token does not exist or has already been used', { cause });
}

async function judge(
  attestor: ServerAttestor,
  payload: Uint8Array,
  challenge: Challenge,
  context: AttestContext,
): Promise<AttestResult> {
  try {
    return await attestor.attest(payload, challenge, context);
  } catch (cause) {
    if (cause instanceof RpcError) throw cause;
    if (cause instanceof AttestError) throw new RpcError(statusCode[cause.code], cause.message, { cause });
    throw internal(`failed to attest: ${errorText(cause)}`, { cause });
  }
}
