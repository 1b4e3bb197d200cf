// The key of an attestation that was begun and did not get as far as an SVID that is kept: in the key store, and known by the digest in the agent's data.
import { createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { keyDigestOf } from '../../pki/key-id.ts';
import type { AgentData } from '../state/agent-data.ts';
import type { KeyStore } from '../state/key-store.ts';

/** Undefined where none was begun, its key is gone, or others may have read it. */
export function findAttestingKey(
  data: Pick<AgentData, 'attesting'>,
  keys: Pick<KeyStore, 'keys' | 'wasExposed'>,
): KeyObject | undefined {
  const digest = data.attesting();
  if (digest === undefined || keys.wasExposed) return undefined;
  return keys.keys().find((key) => digestOfKey(key) === digest);
}

export function digestOfKey(privateKey: KeyObject): string {
  return keyDigestOf(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }));
}
