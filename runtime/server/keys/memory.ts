// The key manager `memory`: keys end with the process, so a restart means new authorities.
import { generateKeyPair } from '../../pki/key-type.ts';
import { signerOf } from '../../pki/signer.ts';
import type { KeyManager, ManagedKey } from './key-manager.ts';

export function createMemoryKeyManager(): KeyManager {
  const keys = new Map<string, ManagedKey>();
  return {
    async generateKey(id, type) {
      const { publicKey, privateKey } = await generateKeyPair(type);
      const key: ManagedKey = { id, type, publicKey, signer: signerOf(privateKey) };
      keys.set(id, key);
      return key;
    },
    getKey: (id) => keys.get(id),
    listKeys: () => [...keys.values()],
  };
}
