// What an agent knows of itself between two runs, in SPIRE's file `agent-data.json`: its SVID, the trust domain's X.509 authorities, and how far it
// is in coming to trust its server. The private key is in the key store.
import { join } from 'node:path';
import type { Logger } from '../../log.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import { certificatesFromPem, certificatesToPem } from '../../pki/pem.ts';
import type { FaultHook, Write } from '../fault-points.ts';
import { encodeBootstrapState, readBootstrapState } from './bootstrap-state.ts';
import type { BootstrapState } from './bootstrap-state.ts';
import { ensureDirectory, readPrivateFile, writePrivateFile } from './private-file.ts';
import { parseObject, readBase64 } from './read-json.ts';
import { StateError, attestAnewWithout } from './state-error.ts';

export interface StoredSvid {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[];
  readonly reattestable: boolean;
}

export interface AgentData {
  readonly path: string;
  svid(): StoredSvid | undefined;
  /** DER; empty before the first contact. */
  x509Authorities(): readonly Uint8Array[];
  bootstrap(): BootstrapState;
  /** Digest of the key of an attestation that was begun and whose SVID is not there; undefined where none was. */
  attesting(): string | undefined;
  storeAttesting(keyDigest: string): Promise<void>;
  /** Ends the attestation that was begun. */
  storeSvid(svid: StoredSvid | undefined): Promise<void>;
  storeX509Authorities(authorities: readonly Uint8Array[]): Promise<void>;
  storeBootstrap(state: BootstrapState): Promise<void>;
  /** Neither SVID nor authorities: the next run begins as if for the first time, but knows that it does not. */
  forgetTrust(state: BootstrapState): Promise<void>;
}

/** Opens the file in the directory, which is made where it is missing. Throws a StateError. */
export async function openAgentData(directory: string, log: Logger, faultPoint?: FaultHook): Promise<AgentData> {
  await ensureDirectory(directory, 0o755);
  const path = join(directory, 'agent-data.json');
  const loaded = await load(path, log);
  let { svid, bundle, reattestable, bootstrap, attesting } = loaded;

  const save = (write: Write) =>
    writePrivateFile(
      path,
      JSON.stringify({
        ...loaded.rest,
        svid: encode(svid),
        bundle: encode(bundle),
        reattestable,
        attesting_key: attesting,
        ...encodeBootstrapState(bootstrap),
      }),
      (step) => faultPoint?.(`${write}.${step}`),
    );
  let saving = Promise.resolve();
  /** One after the other: all of it is in one file. */
  const saveNext = (write: Write) => {
    const next = () => save(write);
    return (saving = saving.then(next, next));
  };

  return {
    path,
    svid: () => (svid.length === 0 ? undefined : { chain: svid, reattestable }),
    x509Authorities: () => bundle,
    bootstrap: () => bootstrap,
    attesting: () => attesting,
    storeAttesting(keyDigest) {
      attesting = keyDigest;
      return saveNext('data.attesting');
    },
    storeSvid(stored) {
      attesting = undefined;
      svid = [...(stored?.chain ?? [])];
      reattestable = stored?.reattestable === true;
      return saveNext('data.svid');
    },
    storeX509Authorities(authorities) {
      bundle = [...authorities];
      return saveNext('data.bundle');
    },
    storeBootstrap(state) {
      bootstrap = state;
      return saveNext('data.bootstrap');
    },
    forgetTrust(state) {
      [svid, bundle, reattestable, bootstrap, attesting] = [[], [], false, state, undefined];
      return saveNext('data.forgotten');
    },
  };
}

interface Loaded {
  readonly svid: Uint8Array[];
  readonly bundle: Uint8Array[];
  readonly reattestable: boolean;
  readonly bootstrap: BootstrapState;
  readonly attesting: string | undefined;
  /** Keys that nobody here knows, kept for whoever does. */
  readonly rest: Readonly<Record<string, unknown>>;
}

const nothing: Loaded = {
  svid: [],
  bundle: [],
  reattestable: false,
  bootstrap: { mode: 'bootstrap', startedAt: undefined, attempts: 0 },
  attesting: undefined,
  rest: {},
};

async function load(path: string, log: Logger): Promise<Loaded> {
  const file = await readPrivateFile(path);
  if (file === undefined) return nothing;
  if (file.mayBeWrittenByOthers) {
    throw new StateError(
      'WRITABLE_BY_OTHERS',
      `${path} may be written by other users, who may have changed whom the agent trusts: where that is known to be good, ` +
        `"chmod 600 ${path}", else move it away`,
    );
  }
  if (file.text === '') {
    log.warn({ path }, 'Agent data is an empty file; starting without it');
    return nothing;
  }
  try {
    const rest = parseObject(file.text);
    const { reattestable = false, attesting_key: attesting } = rest;
    if (typeof reattestable !== 'boolean') throw new Error('reattestable is neither true nor false');
    if (attesting !== undefined && typeof attesting !== 'string') throw new Error('attesting_key is no text');
    const [svid, bundle] = [readCertificates(rest, 'svid'), readCertificates(rest, 'bundle')];
    const known = { ...nothing.bootstrap, mode: bundle.length > 0 ? ('rebootstrap' as const) : ('bootstrap' as const) };
    return { svid, bundle, reattestable, bootstrap: readBootstrapState(rest) ?? known, attesting, rest };
  } catch (cause) {
    throw new StateError('AGENT_DATA', `agent data is not readable: ${attestAnewWithout(path)}`, { cause });
  }
}

/** SPIRE writes null for an empty list, and each certificate as the base64 of its PEM. */
function readCertificates(data: Readonly<Record<string, unknown>>, key: 'svid' | 'bundle'): Uint8Array[] {
  const list = data[key];
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list)) throw new Error(`${key} is no list`);
  try {
    const chain = list.flatMap((pem) => certificatesFromPem(readBase64(pem).toString('latin1')));
    for (const der of chain) parseCertificate(der);
    return chain;
  } catch (cause) {
    throw new Error(`${key} holds something that is no certificate`, { cause });
  }
}

function encode(chain: readonly Uint8Array[]): string[] {
  return chain.map((der) => Buffer.from(certificatesToPem([der])).toString('base64'));
}
