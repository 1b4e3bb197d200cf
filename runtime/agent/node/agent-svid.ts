// The agent's own SVID with its key, and the question whether a chain that the server or the disk gave us is one.
import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { parseCertificate } from '../../pki/certificate.ts';
import { certificatesToPem } from '../../pki/pem.ts';
import type { TlsCredentials } from '../../rpc/tls-credentials.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { renewalTime } from '../rotation.ts';
import type { RotationPolicy } from '../rotation.ts';
import type { StoredSvid } from '../state/agent-data.ts';

export interface AgentSvid {
  readonly id: SpiffeId;
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly privateKey: KeyObject;
  /** Epoch ms. */
  readonly notAfter: number;
  readonly renewAt: number;
  readonly reattestable: boolean;
  readonly credentials: TlsCredentials;
}

/** Throws where the chain is no SVID or the key is not its leaf's. */
export function agentSvidOf(stored: StoredSvid, privateKey: KeyObject, policy: RotationPolicy): AgentSvid {
  const { chain, reattestable } = stored;
  const [first] = chain;
  if (first === undefined) throw new Error('SVID has no certificate');
  const leaf = parseCertificate(first);
  const [uri, ...others] = leaf.uris;
  if (uri === undefined || others.length > 0) throw new Error(`SVID has ${leaf.uris.length} URI names, want 1`);
  if (!leaf.publicKey.equals(createPublicKey(privateKey))) throw new Error('SVID is for another key');
  return {
    id: parseSpiffeId(uri),
    chain,
    privateKey,
    notAfter: leaf.notAfter,
    renewAt: renewalTime(leaf, policy),
    reattestable,
    credentials: { certificateChainPem: certificatesToPem([...chain]), privateKey },
  };
}
