// Has the server sign X.509-SVIDs for entries, in batches that shrink when the server cannot take them and grow again when it can.
import type { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import type { Logger } from '../../log.ts';
import { createCsr } from '../../pki/csr.ts';
import { generateKeyPair } from '../../pki/key-type.ts';
import type { KeyType } from '../../pki/key-type.ts';
import { signerOf } from '../../pki/signer.ts';
import type { Client } from '../../rpc/service.ts';
import { RpcError, statusCode } from '../../rpc/status.ts';
import { workloadSvidOf } from '../cache/workload-svid.ts';
import type { WorkloadSvid } from '../cache/workload-svid.ts';
import { isTooShortFor } from '../rotation.ts';
import type { RotationPolicy } from '../rotation.ts';
import type { AgentEntry } from './entry.ts';

/** The server takes 500 at once; a workload that comes in between should not have to wait for so many others. */
const largestBatch = 100;
const callMs = 30_000;
const tooShort =
  "X509 SVID lifetime isn't long enough to guarantee the availability_target, falling back to the default rotation strategy";

export interface SignedSvids {
  readonly svids: ReadonlyMap<string, WorkloadSvid>;
  /** Ids of entries that the server would not sign for. */
  readonly failed: readonly string[];
}

export interface SvidSignerOptions {
  readonly client: () => Client<typeof SVIDService>;
  readonly keyType: KeyType;
  readonly policy: RotationPolicy;
  readonly log: Logger;
}

export interface SvidSigner {
  /** One batch from the beginning of the list; the caller comes back with what is then wanted most. */
  signSome(entries: readonly AgentEntry[], signal: AbortSignal): Promise<SignedSvids>;
}

export function createSvidSigner({ client, keyType, policy, log }: SvidSignerOptions): SvidSigner {
  let batchSize = largestBatch;

  const signBatch = async (batch: readonly AgentEntry[], signal: AbortSignal): Promise<SignedSvids> => {
    const keys = await Promise.all(batch.map(() => generateKeyPair(keyType)));
    const params = batch.map(({ id, spiffeId }, i) => ({
      entryId: id,
      csr: createCsr({ signer: signerOf(keyAt(keys, i).privateKey), spiffeId }),
    }));
    const { results } = await client().batchNewX509Svid({ params }, { signal, deadlineMs: callMs });
    if (results.length !== batch.length)
      throw new Error(`server answered ${results.length} of ${batch.length} requests`);

    const svids = new Map<string, WorkloadSvid>();
    const failed: string[] = [];
    for (const [i, entry] of batch.entries()) {
      const fields = { spiffe_id: entry.spiffeId.toString(), entry_id: entry.id };
      try {
        const { status, svid } = results[i] ?? { status: undefined, svid: undefined };
        if (svid === undefined) throw new Error(status?.message ?? 'server sent no SVID');
        const signed = workloadSvidOf(entry, svid.certChain, keyAt(keys, i).privateKey, policy);
        svids.set(entry.id, signed);
        if (isTooShortFor(signed, policy.availabilityTargetMs)) log.warn(fields, tooShort);
      } catch (error) {
        failed.push(entry.id);
        log.warn({ ...fields, err: error }, 'Failed to sign X509 SVID');
      }
    }
    return { svids, failed };
  };

  return {
    async signSome(entries, signal) {
      const batch = entries.slice(0, batchSize);
      try {
        const signed = await signBatch(batch, signal);
        batchSize = Math.min(largestBatch, batchSize * 2);
        return signed;
      } catch (error) {
        batchSize = Math.max(1, Math.floor(batchSize / 2));
        const [first] = batch;
        if (batch.length !== 1 || first === undefined || !isAboutTheEntry(error)) throw error;
        log.warn({ spiffe_id: first.spiffeId.toString(), entry_id: first.id, err: error }, 'Failed to sign X509 SVID');
        return { svids: new Map(), failed: [first.id] };
      }
    },
  };
}

/** A single entry that the server cannot cope with must not stop all others; a server that is away, or has done with the agent, does. */
function isAboutTheEntry(error: unknown): boolean {
  return error instanceof RpcError && aboutTheEntry.has(error.code);
}

const aboutTheEntry: ReadonlySet<number> = new Set([
  statusCode.INTERNAL,
  statusCode.INVALID_ARGUMENT,
  statusCode.NOT_FOUND,
  statusCode.UNKNOWN,
]);

function keyAt<T>(keys: readonly T[], i: number): T {
  const key = keys[i];
  if (key === undefined) throw new RangeError(`no key for request ${i}`);
  return key;
}
