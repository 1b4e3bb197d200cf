// The agent's own private keys, in two slots: a new key never overwrites the one that is in use. KeyManager "memory" forgets them, "disk" keeps
// them in SPIRE's file `keys.json`, readable by the owner alone.
import { createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { chmod } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../log.ts';
import { generateKeyPair } from '../../pki/key-type.ts';
import type { FaultHook } from '../fault-points.ts';
import { ensureDirectory, readPrivateFile, writePrivateFile } from './private-file.ts';
import { parseObject, readBase64, readObject } from './read-json.ts';
import { StateError, attestAnewWithout } from './state-error.ts';

const slots = ['agent-svid-A', 'agent-svid-B'] as const;

export interface KeyStore {
  /** Others may have read the keys: what hangs on them is to be replaced. */
  readonly wasExposed: boolean;
  keys(): readonly KeyObject[];
  /** A new key in the slot that the current one does not occupy. */
  generateBeside(current: KeyObject | undefined): Promise<KeyObject>;
}

export function createMemoryKeyStore(): KeyStore {
  return keyStoreOf({ keys: new Map(), wasExposed: false }, () => Promise.resolve());
}

/** Other keys that may be in the file stay there. Throws a StateError. */
export async function openDiskKeyStore(directory: string, log: Logger, faultPoint?: FaultHook): Promise<KeyStore> {
  await ensureDirectory(directory, 0o700);
  const path = join(directory, 'keys.json');
  const loaded = await loadKeys(path, log);
  const save = () => writePrivateFile(path, encodeKeys(loaded.keys), (step) => faultPoint?.(`keys.${step}`));
  return keyStoreOf(loaded, save);
}

interface LoadedKeys {
  readonly keys: Map<string, KeyObject>;
  readonly wasExposed: boolean;
}

function keyStoreOf({ keys, wasExposed }: LoadedKeys, save: () => Promise<void>): KeyStore {
  const inSlots = () => slots.map((slot) => keys.get(slot)).filter((key) => key !== undefined);
  return {
    wasExposed,
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

async function loadKeys(path: string, log: Logger): Promise<LoadedKeys> {
  const file = await readPrivateFile(path);
  if (file === undefined) return { keys: new Map(), wasExposed: false };
  if (file.text === '') {
    log.warn({ path }, 'Key file is empty; starting without it');
    return { keys: new Map(), wasExposed: false };
  }
  const wasExposed = file.mayBeReadByOthers || file.mayBeWrittenByOthers;
  if (wasExposed) {
    log.warn({ path }, 'Key file is open to other users; making it private and replacing the key');
    await chmod(path, 0o600);
  }
  try {
    const keys = Object.entries(readObject(parseObject(file.text)['keys'])).map(
      ([id, der]) => [id, readKey(der)] as const,
    );
    return { keys: new Map(keys), wasExposed };
  } catch (cause) {
    throw new StateError('KEYS', `keys are not readable: ${attestAnewWithout(path)}`, { cause });
  }
}

function readKey(der: unknown): KeyObject {
  return createPrivateKey({ key: readBase64(der), format: 'der', type: 'pkcs8' });
}

function encodeKeys(keys: ReadonlyMap<string, KeyObject>): string {
  const encoded = [...keys].map(([id, key]): [string, string] => [
    id,
    key.export({ format: 'der', type: 'pkcs8' }).toString('base64'),
  ]);
  return JSON.stringify({ keys: Object.fromEntries(encoded) }, undefined, '\t');
}
