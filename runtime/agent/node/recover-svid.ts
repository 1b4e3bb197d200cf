// The agent's SVID of its last run: gone on with where it is still good, left where it is not, and refused where it cannot be this agent's.
import { createPublicKey } from 'node:crypto';
import type { Logger } from '../../log.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import { isAgentPath } from '../../spiffe/spiffe-id.ts';
import type { RotationPolicy } from '../rotation.ts';
import type { AgentData } from '../state/agent-data.ts';
import type { KeyStore } from '../state/key-store.ts';
import { StateError, attestAnewWithout } from '../state/state-error.ts';
import { agentSvidOf } from './agent-svid.ts';
import type { AgentSvid } from './agent-svid.ts';
import { findAttestingKey } from './attesting-key.ts';
import type { Trust } from './trust.ts';

export interface RecoverOptions {
  readonly data: AgentData;
  readonly keys: KeyStore;
  readonly trust: Trust;
  readonly policy: RotationPolicy;
  readonly clock: () => number;
  readonly log: Logger;
}

/** A certificate that ends within this has ended: the server's clock is not ours. */
export const clockSkewMs = 1_000;

/** Undefined where the node has to attest. Throws a StateError. */
export function recoverSvid({ data, keys, trust, policy, clock, log }: RecoverOptions): AgentSvid | undefined {
  const held = keys.keys();
  const stored = data.svid();
  const [first] = stored?.chain ?? [];
  if (stored === undefined || first === undefined) {
    if (findAttestingKey(data, keys) !== undefined)
      log.warn('Attesting again with the key of the attestation that was begun');
    else if (held.length > 0) log.warn('Keys recovered, but no SVID found. Generating new keypair');
    return undefined;
  }
  const leaf = parseCertificate(first);
  if (clock() + clockSkewMs >= leaf.notAfter) {
    log.warn({ expiry: new Date(leaf.notAfter).toISOString() }, 'SVID recovered, but it has expired');
    return undefined;
  }
  const privateKey = held.find((key) => createPublicKey(key).equals(leaf.publicKey));
  if (privateKey === undefined) {
    log.warn('SVID recovered, but its key was not found');
    return undefined;
  }
  const svid = readSvid(() => agentSvidOf(stored, privateKey, policy), data.path);
  const { trustDomain, x509Authorities } = trust.bundle();
  if (!svid.id.trustDomain.equals(trustDomain) || !isAgentPath(svid.id.path)) {
    throw new StateError(
      'FOREIGN_SVID',
      `the SVID in ${data.path} is that of ${svid.id.toString()}, not of an agent of ${trustDomain.name}: name another data_dir, or ` +
        attestAnewWithout(data.path),
    );
  }
  if (x509Authorities.length === 0) {
    throw new StateError(
      'BUNDLE_MISSING',
      `SVID loaded but no bundle in cache: ${data.path} has an SVID and no bundle, and insecure_bootstrap names none; configure one, or ` +
        attestAnewWithout(data.path),
    );
  }
  return svid;
}

function readSvid(read: () => AgentSvid, path: string): AgentSvid {
  try {
    return read();
  } catch (cause) {
    throw new StateError('AGENT_DATA', `the SVID in ${path} is none: ${attestAnewWithout(path)}`, { cause });
  }
}
