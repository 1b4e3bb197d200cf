// Asks the kubelet of this node for its pods. What proves who it is, and who we are, is read from files that others renew.
import { createSecureContext } from 'node:tls';
import type { SecureContext } from 'node:tls';
import { WorkloadAttestError } from '../attestor.ts';
import { ask } from './ask.ts';
import type { KubeletConfig } from './config.ts';
import { podListSchema } from './pods.ts';
import type { Pod } from './pods.ts';
import { createReload, loadFile } from './reload.ts';

export interface Kubelet {
  pods(): Promise<Pod[]>;
}

const here = '127.0.0.1';
/** Some hundred pods, each with all that was ever written into it. */
const maxAnswerBytes = 64 * 1024 * 1024;

/** Reads the files once, so that one that is not there is told of at start. */
export async function openKubelet(config: KubeletConfig, clock: () => number): Promise<Kubelet> {
  const secured = config.secure
    ? await createReload(() => loadSecured(config), config.reloadIntervalMs, clock)
    : undefined;
  return {
    async pods() {
      try {
        const options = { host: here, port: config.port, path: '/pods', ...(await secured?.()) };
        return await ask({ options, isSecure: config.secure, maxAnswerBytes }, podListSchema);
      } catch (cause) {
        const reason = (cause as Error).message;
        throw new WorkloadAttestError('KUBELET', `unable to get pods from the kubelet: ${reason}`, { cause });
      }
    },
  };
}

interface Secured {
  readonly host: string;
  readonly secureContext: SecureContext;
  readonly rejectUnauthorized: boolean;
  readonly checkServerIdentity?: () => undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

async function loadSecured(config: KubeletConfig & { readonly secure: true }): Promise<Secured> {
  const { nodeName, caPath, credentials } = config;
  const ca = caPath === undefined ? {} : { ca: await loadFile('kubelet CA', caPath) };
  const own =
    credentials.kind === 'certificate'
      ? {
          cert: await loadFile('certificate', credentials.certificatePath),
          key: await loadFile('private key', credentials.keyPath),
        }
      : {};
  return {
    host: nodeName ?? here,
    secureContext: contextOf({ ...ca, ...own }),
    rejectUnauthorized: caPath !== undefined,
    // A kubelet's certificate has its node's name, not this machine's own address.
    ...(nodeName === undefined ? { checkServerIdentity: () => undefined } : {}),
    ...(credentials.kind === 'token'
      ? { headers: { authorization: `Bearer ${(await loadFile('token', credentials.path)).trim()}` } }
      : {}),
  };
}

function contextOf(files: { ca?: string; cert?: string; key?: string }): SecureContext {
  try {
    return createSecureContext({ ...files, minVersion: 'TLSv1.2' });
  } catch (cause) {
    throw new Error(`certificates or key are not usable: ${(cause as Error).message}`, { cause });
  }
}
