// How a cluster's API is reached: by a kubeconfig file, or, without one, by what Kubernetes gives to every pod. Read anew each time, as both change.
// What is said there decides about trust, so a connection that anybody could answer is refused.
import type * as Kubernetes from '@kubernetes/client-node';

export interface KubeConfigSource {
  /** Path of a kubeconfig; empty is the pod that this process runs in. */
  readonly file: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

const podDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';

export function loadKubeConfig(library: typeof Kubernetes, source: KubeConfigSource): Kubernetes.KubeConfig {
  const config = new library.KubeConfig();
  if (source.file === '') loadFromPod(config, source.env);
  else config.loadFromFile(source.file);
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error(`kubeconfig ${source.file} has no current cluster`);
  if (cluster.skipTLSVerify) throw new Error(`cluster ${cluster.name} is not verified: insecure-skip-tls-verify`);
  if (new URL(cluster.server).protocol !== 'https:') throw new Error(`server ${cluster.server} is not https`);
  return config;
}

function loadFromPod(config: Kubernetes.KubeConfig, env: KubeConfigSource['env']): void {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || port === undefined)
    throw new Error('no kubeconfig is configured, and KUBERNETES_SERVICE_HOST and _PORT are not set: not in a pod');
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const authProvider = { name: 'tokenFile', config: { tokenFile: `${podDirectory}/token` } };
  config.loadFromClusterAndUser(
    { name: 'pod', server, caFile: `${podDirectory}/ca.crt`, skipTLSVerify: false },
    { name: 'pod', authProvider },
  );
}

/** For the library's APIs: each call ends with the signal, and has these headers. */
export function apiConfiguration(
  library: typeof Kubernetes,
  config: Kubernetes.KubeConfig,
  signal: AbortSignal,
  headers: Readonly<Record<string, string>> = {},
): Kubernetes.Configuration {
  return library.createConfiguration({
    baseServer: new library.ServerConfiguration(config.getCurrentCluster()?.server ?? '', {}),
    authMethods: { default: config },
    promiseMiddleware: [
      {
        pre: async (request) => {
          request.setSignal(signal);
          for (const [name, value] of Object.entries(headers)) request.setHeaderParam(name, value);
          return request;
        },
        post: async (response) => response,
      },
    ],
  });
}

/** An answer's status and words, without its headers; or why there was none. */
export function reasonOf(cause: unknown): string {
  const { code, body, message } = cause as { code?: unknown; body?: unknown; message?: unknown };
  if (typeof code !== 'number') return causesOf(cause).join(': ');
  return `status ${code}: ${typeof body === 'string' ? body : String(message)}`;
}

function causesOf(cause: unknown): string[] {
  return cause instanceof Error ? [cause.message, ...causesOf(cause.cause)] : [];
}
