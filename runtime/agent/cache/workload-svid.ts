// A workload's X.509-SVID with its key, as the cache holds it and the Workload API hands it out.
import type { KeyObject } from 'node:crypto';
import { createPublicKey } from 'node:crypto';
import { parseCertificate, serialDecimal } from '../../pki/certificate.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { renewalTime } from '../rotation.ts';
import type { RotationPolicy } from '../rotation.ts';
import type { AgentEntry } from '../sync/entry.ts';

export interface WorkloadSvid {
  readonly spiffeId: SpiffeId;
  /** Of the entry that it was signed for. */
  readonly revisionNumber: number;
  readonly createdAt: number;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  /** DER, PKCS#8. */
  readonly privateKey: Uint8Array;
  /** Decimal, as SPIRE writes it. */
  readonly serialNumber: string;
  /** Epoch ms. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly renewAt: number;
}

/** Throws where the server signed something else than it was asked for. */
export function workloadSvidOf(
  entry: AgentEntry,
  chain: readonly Uint8Array[],
  privateKey: KeyObject,
  policy: RotationPolicy,
): WorkloadSvid {
  const [first] = chain;
  if (first === undefined) throw new Error('SVID has no certificate');
  const leaf = parseCertificate(first);
  const spiffeId = entry.spiffeId.toString();
  if (leaf.uris.length !== 1 || leaf.uris[0] !== spiffeId) {
    throw new Error(`SVID is for ${JSON.stringify(leaf.uris)}, want ${spiffeId}`);
  }
  if (!leaf.publicKey.equals(createPublicKey(privateKey))) throw new Error(`SVID of ${spiffeId} is for another key`);
  return {
    spiffeId: entry.spiffeId,
    revisionNumber: entry.revisionNumber,
    createdAt: entry.createdAt,
    chain,
    privateKey: privateKey.export({ format: 'der', type: 'pkcs8' }),
    serialNumber: serialDecimal(leaf),
    notBefore: leaf.notBefore,
    notAfter: leaf.notAfter,
    renewAt: renewalTime(leaf, policy),
  };
}

/** Whether the SVID says who the entry now says; its revision may be older. */
export function isFor(svid: WorkloadSvid, entry: AgentEntry): boolean {
  return svid.spiffeId.equals(entry.spiffeId);
}

export function isOutdated(svid: WorkloadSvid, entry: AgentEntry, now: number): boolean {
  return (
    now >= svid.renewAt ||
    svid.revisionNumber !== entry.revisionNumber ||
    svid.createdAt !== entry.createdAt ||
    !isFor(svid, entry)
  );
}
