// The key manager `disk`: all keys in one JSON file in SPIRE's format, readable by its owner only and replaced as a whole.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { chmod, readFile } from 'node:fs/promises';
import { z } from 'zod';
import { generateKeyPair } from '../../pki/key-type.ts';
import type { KeyType } from '../../pki/key-type.ts';
import { signerOf } from '../../pki/signer.ts';
import { replaceFile } from './replace-file.ts';
import type { KeyManager, ManagedKey } from './key-manager.ts';

/** Key id → PKCS#8 DER in base64. */
const keysFile = z.strictObject({ keys: z.record(z.string(), z.base64()) });

const ownerOnly = 0o600;
const byCurve = new Map<string | undefined, KeyType>([
  ['prime256v1', 'ec-p256'],
  ['secp384r1', 'ec-p384'],
]);
const byModulus = new Map<number | undefined, KeyType>([
  [2048, 'rsa-2048'],
  [4096, 'rsa-4096'],
]);

/** Reads the file when it is there; it is written with the first key. */
export async function openDiskKeyManager({ path }: { readonly path: string }): Promise<KeyManager> {
  const privateKeys = await loadKeys(path);
  const keys = new Map([...privateKeys].map(([id, privateKey]) => [id, manage(id, privateKey)] as const));
  let writing: Promise<void> = Promise.resolve();

  /** One after another, each with all keys known by then. */
  const write = (): Promise<void> => {
    const next = writing.then(() => replaceFile(path, encodeKeys(privateKeys), ownerOnly));
    // The caller hears of a failed write; the next write is not to fail with it.
    writing = next.catch(() => undefined);
    return next;
  };

  return {
    async generateKey(id, type) {
      const { privateKey } = await generateKeyPair(type);
      const previous = privateKeys.get(id);
      privateKeys.set(id, privateKey);
      try {
        await write();
      } catch (error) {
        // A key that would not survive a restart is not used.
        if (previous === undefined) privateKeys.delete(id);
        if (previous !== undefined) privateKeys.set(id, previous);
        throw error;
      }
      const key = manage(id, privateKey);
      keys.set(id, key);
      return key;
    },
    getKey: (id) => keys.get(id),
    listKeys: () => [...keys.values()],
  };
}

async function loadKeys(path: string): Promise<Map<string, KeyObject>> {
  const text = await readIfThere(path);
  if (text === undefined) return new Map();
  await chmod(path, ownerOnly);
  try {
    const { keys } = keysFile.parse(JSON.parse(text));
    return new Map(Object.entries(keys).map(([id, der]) => [id, decodeKey(der)] as const));
  } catch {
    // The cause may quote key material: it is left out on purpose.
    throw new Error(`keys file ${path} is damaged`);
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function decodeKey(der: string): KeyObject {
  return createPrivateKey({ key: Buffer.from(der, 'base64'), format: 'der', type: 'pkcs8' });
}

function encodeKeys(keys: ReadonlyMap<string, KeyObject>): string {
  const encode = (key: KeyObject) => key.export({ format: 'der', type: 'pkcs8' }).toString('base64');
  const encoded = Object.fromEntries([...keys].map(([id, key]) => [id, encode(key)]));
  return `${JSON.stringify({ keys: encoded }, undefined, '\t')}\n`;
}

function manage(id: string, privateKey: KeyObject): ManagedKey {
  const publicKey = createPublicKey(privateKey);
  const details = publicKey.asymmetricKeyDetails;
  const type = byCurve.get(details?.namedCurve) ?? byModulus.get(details?.modulusLength);
  if (type === undefined) throw new Error(`key ${JSON.stringify(id)} is of a type that no server makes`);
  return { id, type, publicKey, signer: signerOf(privateKey) };
}
