// The two places that an authority of either kind can have: one signs, the other holds its successor or its predecessor.
import type { Certificate } from '../../pki/certificate.ts';
import type { ManagedKey } from '../keys/key-manager.ts';
import type { AuthorityState } from './authority.ts';
import type { Lifetime } from './lifetime.ts';

export type SlotName = 'A' | 'B';
export type SlotStatus = 'prepared' | 'active' | 'old';

export interface Slot extends Lifetime {
  readonly name: SlotName;
  readonly authorityId: string;
  readonly key: ManagedKey;
  readonly upstreamAuthorityId?: string;
}

export interface X509Slot extends Slot {
  readonly certificate: Certificate;
  /** What follows a leaf in its chain: nothing under a self-signed CA, else our certificate and those above it, without the root. */
  readonly intermediates: readonly Certificate[];
}

/** Its authority id is the key id of its tokens. */
export type JwtSlot = Slot;

export function otherSlot(name: SlotName): SlotName {
  return name === 'A' ? 'B' : 'A';
}

/** SPIRE's names, so that its keys file can be read. */
export function x509KeyId(name: SlotName): string {
  return `x509-CA-${name}`;
}

export function jwtKeyId(name: SlotName): string {
  return `JWT-Signer-${name}`;
}

export function stateOf({ authorityId, issuedAt, notAfter, upstreamAuthorityId }: Slot): AuthorityState {
  const state = { authorityId, issuedAt, expiresAt: notAfter };
  return upstreamAuthorityId === undefined ? state : { ...state, upstreamAuthorityId };
}

export function hexOf(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? '' : Buffer.from(bytes).toString('hex');
}
