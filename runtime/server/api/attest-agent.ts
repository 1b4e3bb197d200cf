// Agent/AttestAgent: evidence in, challenges back and forth, an agent SVID out. The order is fixed: refuse what is malformed, judge the evidence,
// refuse the banned, sign, record, answer.
import type { KeyObject } from 'node:crypto';
import type {
  AgentService,
  AttestAgentRequest,
  AttestAgentRequest_Params,
  AttestAgentResponse,
} from '../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import type { AttestationData } from '../../../proto/gen/spire/api/types/attestation.ts';
import { askedAgainHeader, askedAgainValue } from '../../attest/asked-again.ts';
import type { AttestResult, Challenge } from '../../attest/attestor.ts';
import type { Logger } from '../../log.ts';
import { serialDecimal } from '../../pki/certificate.ts';
import type { Csr } from '../../pki/csr.ts';
import { parseCsr } from '../../pki/csr.ts';
import { keyDigestOf } from '../../pki/key-id.ts';
import { untilAborted } from '../../rpc/abortable.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Connection } from '../../rpc/connection.ts';
import { createQueue } from '../../rpc/queue.ts';
import type { Handler } from '../../rpc/service.ts';
import { deadlineExceeded, internal, invalidArgument, permissionDenied } from '../../rpc/status.ts';
import { sortSelectors } from '../../spiffe/selector.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { noSuchToken } from '../attestation.ts';
import type { JudgedNode, NodeAttestation } from '../attestation.ts';
import type { CertificateAuthority, IssuedX509Svid } from '../ca/authority.ts';
import { StoreError } from '../store/errors.ts';
import type { AgentRecord } from '../store/records.ts';
import type { AgentStore } from '../store/store.ts';
import type { RateLimiter } from './rate-limit.ts';
import { attempt, checkArgument } from './refusal.ts';
import { encodeX509Svid } from './wire/svid.ts';

export interface AttestAgentOptions {
  readonly authority: Pick<CertificateAuthority, 'signAgentX509Svid'>;
  readonly agents: Pick<AgentStore, 'fetchAgent' | 'saveAgent'>;
  readonly attest: NodeAttestation;
  readonly limiter: RateLimiter;
  readonly log: Logger;
  /** For the whole exchange. */
  readonly patienceMs?: number;
}

/** An attestor may ask a cloud; a caller that lets us wait, whom nobody knows yet, may not hold the call for ever. */
const defaultPatienceMs = 60_000;
const largestPayload = 64 * 1024;

/** Who holds the key of the request: its signature was checked. */
interface Asker {
  readonly publicKey: KeyObject;
  readonly keyDigest: string;
  /** Says that it began before and got no answer. */
  readonly again: boolean;
}

type Requests = AsyncIterator<AttestAgentRequest>;

export function createAttestAgent(options: AttestAgentOptions): Handler<(typeof AgentService)['attestAgent']> {
  const { authority, agents, attest, limiter, log, patienceMs = defaultPatienceMs } = options;

  return async function* attestAgent(stream, context) {
    await limiter.admit(context, 1, 'rejecting request due to attest agent rate limiting');
    const patience = new AbortController();
    const timer = setTimeout(() => {
      patience.abort(deadlineExceeded('attestation took too long'));
    }, patienceMs);
    try {
      yield* exchange(stream, context, AbortSignal.any([context.signal, patience.signal]));
    } finally {
      clearTimeout(timer);
    }
  };

  async function* exchange(
    stream: AsyncIterable<AttestAgentRequest>,
    context: CallContext,
    signal: AbortSignal,
  ): AsyncGenerator<AttestAgentResponse, void, undefined> {
    const requests = untilAborted(stream, signal);
    const { data, csr } = await readParams(requests);
    const asker = askerOf(csr, context);

    const challenges = createQueue<Uint8Array>();
    const ask: Challenge = async (challenge) => {
      challenges.push(challenge);
      return readChallengeResponse(requests);
    };
    const judged = judge(data, ask, asker, context.connection, signal).finally(() => challenges.end());
    judged.catch(() => undefined); // awaited below, unless the agent leaves while a challenge is being sent
    for await (const challenge of challenges) yield { step: { $case: 'challenge', value: challenge } };
    const result = await judged;

    const svid = await enrol(data.type, result, asker);
    log.info(
      { agent_id: String(result.spiffeId), node_attestor_type: data.type },
      'Agent attestation request completed',
    );
    yield answerOf(result, svid);
  }

  function judge(
    data: AttestationData,
    challenge: Challenge,
    asker: Asker,
    connection: Connection,
    signal: AbortSignal,
  ): Promise<JudgedNode> {
    const address = connection.transport === 'tcp' ? { clientAddress: hostOf(connection.address) } : {};
    const find = (id: SpiffeId) => attempt('failed to fetch agent', () => agents.fetchAgent(String(id)));
    const isAskedAgain = (agent: AgentRecord | undefined) => asker.again && agent?.attestedKey === asker.keyDigest;
    return attest(data, challenge, {
      async hasAttested(id) {
        const agent = await find(id);
        return agent !== undefined && !isAskedAgain(agent);
      },
      isAskedAgain: async (id) => isAskedAgain(await find(id)),
      signal,
      ...address,
    });
  }

  /** Signs, then records: an SVID that nobody recorded is of no use to its holder. */
  async function enrol(type: string, result: JudgedNode, asker: Asker): Promise<IssuedX509Svid> {
    const id = String(result.spiffeId);
    const known = await attempt('failed to fetch agent', () => agents.fetchAgent(id));
    if (known?.banned === true) throw permissionDenied('failed to attest: agent is banned');
    const svid = await attempt('failed to sign X509 SVID', () =>
      authority.signAgentX509Svid({ publicKey: asker.publicKey, spiffeId: result.spiffeId }),
    );
    await saveAgent(type, result, svid, asker);
    return svid;
  }

  async function saveAgent(
    type: string,
    { spiffeId, selectors, canReattest, joinToken }: JudgedNode,
    { chain, expiresAt }: IssuedX509Svid,
    { keyDigest, again }: Asker,
  ): Promise<void> {
    const [leaf] = chain;
    if (leaf === undefined) throw internal('failed to sign X509 SVID: the chain is empty');
    const record = {
      spiffeId: String(spiffeId),
      attestationType: type,
      x509SvidSerialNumber: serialDecimal(leaf),
      x509SvidExpiresAt: Math.floor(expiresAt / 1000),
      newX509SvidSerialNumber: '',
      newX509SvidExpiresAt: 0,
      banned: false,
      canReattest,
      selectors: sortSelectors(selectors),
      // An answer that gets lost locks nobody out: with this key, whose owner alone can use the answer, the agent may ask for it again.
      ...(canReattest ? {} : { attestedKey: keyDigest }),
    };
    try {
      // Of two first attestations at the same moment, trust on first use lets one through.
      await agents.saveAgent(record, {
        onlyNew: !canReattest,
        again,
        ...(joinToken === undefined ? {} : { joinToken }),
      });
    } catch (cause) {
      if (cause instanceof StoreError && cause.code === 'AGENT_BANNED') {
        throw permissionDenied('failed to attest: agent is banned', { cause });
      }
      if (cause instanceof StoreError && cause.code === 'CONFLICT') {
        if (joinToken !== undefined) throw noSuchToken(cause);
        throw permissionDenied('failed to attest: agent has already been attested', { cause });
      }
      throw internal('failed to create attested agent', { cause });
    }
  }
}

async function readParams(requests: Requests): Promise<{ data: AttestationData; csr: Csr }> {
  const first = await requests.next();
  if (first.done === true) throw invalidArgument('failed to receive request from stream: EOF');
  const { step } = first.value;
  const { data, csr } = checkArgument('malformed param', () =>
    checkParams(step?.$case === 'params' ? step.value : undefined),
  );
  return { data, csr: checkArgument('failed to parse CSR', () => parseCsr(csr)) };
}

function checkParams(params: AttestAgentRequest_Params | undefined): { data: AttestationData; csr: Uint8Array } {
  if (params === undefined) throw new Error('missing params');
  const { data, params: svidParams } = params;
  if (data === undefined) throw new Error('missing attestation data');
  if (svidParams === undefined) throw new Error('missing X509-SVID parameters');
  if (svidParams.csr.length === 0) throw new Error('missing CSR');
  if (data.type === '') throw new Error('missing attestation data type');
  if (data.payload.length === 0) throw new Error('missing attestation data payload');
  if (data.payload.length > largestPayload)
    throw new Error(`attestation data payload is longer than ${largestPayload} bytes`);
  return { data, csr: svidParams.csr };
}

async function readChallengeResponse(requests: Requests): Promise<Uint8Array> {
  const next = await requests.next();
  if (next.done === true) throw internal('failed to receive challenge from agent: EOF');
  const { step } = next.value;
  return step?.$case === 'challengeResponse' ? step.value : new Uint8Array();
}

function answerOf({ spiffeId, canReattest }: AttestResult, svid: IssuedX509Svid): AttestAgentResponse {
  return { step: { $case: 'result', value: { svid: encodeX509Svid(spiffeId, svid), reattestable: canReattest } } };
}

function askerOf({ publicKey, spki }: Csr, { metadata }: CallContext): Asker {
  const [value] = metadata.get(askedAgainHeader);
  return { publicKey, keyDigest: keyDigestOf(spki), again: value === askedAgainValue };
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'));
}
