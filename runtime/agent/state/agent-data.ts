// What an agent knows of itself between two runs, in SPIRE's file `agent-data.json`: its SVID and the trust domain's X.509 authorities.
// The private key is in the key store.
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { certificatesFromPem, certificatesToPem } from '../../pki/pem.ts';
import { ignoreMissing, writePrivateFile } from './private-file.ts';
import { readBase64, readObject } from './read-json.ts';
import { StateError } from './state-error.ts';

export interface StoredSvid {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly reattestable: boolean;
}

export interface AgentData {
  svid(): StoredSvid | undefined;
  /** DER; empty before the first contact. */
  x509Authorities(): readonly Uint8Array[];
  storeSvid(svid: StoredSvid | undefined): Promise<void>;
  storeX509Authorities(authorities: readonly Uint8Array[]): Promise<void>;
}

/** Opens the file in the directory, which is made where it is missing. */
export async function openAgentData(directory: string): Promise<AgentData> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const path = join(directory, 'agent-data.json');
  const loaded = await load(path);
  let { svid, bundle, reattestable } = loaded;

  const save = () =>
    writePrivateFile(
      path,
      JSON.stringify({ ...loaded.rest, svid: encode(svid), bundle: encode(bundle), reattestable }),
    );
  let saving = Promise.resolve();
  /** One after the other: both values are in one file. */
  const saveNext = () => (saving = saving.then(save, save));

  return {
    svid: () => (svid.length === 0 ? undefined : { chain: svid, reattestable }),
    x509Authorities: () => bundle,
    storeSvid(stored) {
      svid = [...(stored?.chain ?? [])];
      reattestable = stored?.reattestable === true;
      return saveNext();
    },
    storeX509Authorities(authorities) {
      bundle = [...authorities];
      return saveNext();
    },
  };
}

interface Loaded {
  readonly svid: Uint8Array[];
  readonly bundle: Uint8Array[];
  readonly reattestable: boolean;
  /** Keys that only SPIRE uses, kept for it. */
  readonly rest: Readonly<Record<string, unknown>>;
}

async function load(path: string): Promise<Loaded> {
  const text = await readFile(path, 'utf8').catch(ignoreMissing);
  if (text === undefined) return { svid: [], bundle: [], reattestable: false, rest: {} };
  try {
    const rest = readObject(JSON.parse(text));
    const { svid, bundle, reattestable = false } = rest;
    if (typeof reattestable !== 'boolean') throw new Error('reattestable is neither true nor false');
    return { svid: readCertificates(svid), bundle: readCertificates(bundle), reattestable, rest };
  } catch (cause) {
    throw new StateError('AGENT_DATA', `agent data is not readable: ${path}`, { cause });
  }
}

/** SPIRE writes null for an empty list, and each certificate as the base64 of its PEM. */
function readCertificates(list: unknown): Uint8Array[] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw new Error('certificates are no list');
  return list.flatMap((pem) => certificatesFromPem(readBase64(pem).toString('latin1')));
}

function encode(chain: readonly Uint8Array[]): string[] {
  return chain.map((der) => Buffer.from(certificatesToPem([der])).toString('base64'));
}
