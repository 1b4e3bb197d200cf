// The agent's own private keys, in two slots: a new key never overwrites the one that is in use. KeyManager "memory" forgets them, "disk" keeps
// them in SPIRE's file `keys.json`, readable by the owner alone.
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateKeyPair } from '../../pki/key-type.ts';
import { ignoreMissing, writePrivateFile } from './private-file.ts';
import { readBase64, readObject } from './read-json.ts';
import { StateError } from './state-error.ts';

const slots = ['agent-svid-A', 'agent-svid-B'] as const;

export interface KeyStore {
  keys(): readonly KeyObject[];
  /** A new key in the slot that the current one does not occupy. */
  generateBeside(current: KeyObject | undefined): Promise<KeyObject>;
}

export function createMemoryKeyStore(): KeyStore {
  return keyStoreOf(new Map(), () => Promise.resolve());
}

/** Other keys that may be in the file stay there. */
export async function openDiskKeyStore(directory: string): Promise<KeyStore> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, 'keys.json');
  const keys = await loadKeys(path);
  return keyStoreOf(keys, () => writePrivateFile(path, encodeKeys(keys)));
}

function keyStoreOf(keys: Map<string, KeyObject>, save: () => Promise<void>): KeyStore {
  const inSlots = () => slots.map((slot) => keys.get(slot)).filter((key) => key !== undefined);
  return {
    keys: inSlots,
    async generateBeside(current) {
      const { privateKey } = await generateKeyPair('ec-p256');
      const occupied = current === undefined ? undefined : slots.find((slot) => keys.get(slot)?.equals(current));
      keys.set(occupied === slots[0] ? slots[1] : slots[0], privateKey);
      await save();
      return privateKey;
    },
  };
}

async function loadKeys(path: string): Promise<Map<string, KeyObject>> {
  const text = await readFile(path, 'utf8').catch(ignoreMissing);
  if (text === undefined) return new Map();
  try {
    const { keys } = readObject(JSON.parse(text));
    return new Map(
      Object.entries(readObject(keys)).map(([id, der]) => [
        id,
        createPrivateKey({ key: readBase64(der), format: 'der', type: 'pkcs8' }),
      ]),
    );
  } catch (cause) {
    throw new StateError('KEYS', `keys are not readable: ${path}`, { cause });
  }
}

function encodeKeys(keys: ReadonlyMap<string, KeyObject>): string {
  const encoded = [...keys].map(([id, key]): [string, string] => [
    id,
    key.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  ]);
  return JSON.stringify({ keys: Object.fromEntries(encoded) }, undefined, '\t');
}
