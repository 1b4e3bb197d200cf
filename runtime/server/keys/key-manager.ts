// Where the server's private keys live, each under the name of its slot. A key leaves its manager only as a signer.
import type { KeyObject } from 'node:crypto';
import type { KeyType } from '../../pki/key-type.ts';
import type { Signer } from '../../pki/signer.ts';

export interface ManagedKey {
  readonly id: string;
  readonly type: KeyType;
  readonly publicKey: KeyObject;
  readonly signer: Signer;
}

export interface KeyManager {
  /** Makes a fresh key; an older one under the same id is gone afterwards. */
  generateKey(id: string, type: KeyType): Promise<ManagedKey>;
  getKey(id: string): ManagedKey | undefined;
  listKeys(): readonly ManagedKey[];
}
