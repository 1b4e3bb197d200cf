// The connection to a cluster's API server: by a kubeconfig file, or by what Kubernetes gives to every pod. Kubernetes' own library reads both and proves who
// we are, and is loaded when first needed; requests are ours, since what is watched must be noticed when it dies without a word.
import { existsSync } from 'node:fs';
import { request } from 'node:https';
import type { IncomingMessage, RequestOptions } from 'node:http';
import type * as Kubernetes from '@kubernetes/client-node';
import { KubernetesError, refusalIn } from './kubernetes-errors.ts';

export interface ConnectionOptions {
  /** Path of a kubeconfig; the pod's own service account where nothing is said. */
  readonly kubeconfig?: string | undefined;
  /** One of its contexts; its current one where nothing is said. */
  readonly context?: string | undefined;
}

export interface Query {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly parameters?: Readonly<Record<string, string | undefined>>;
  readonly contentType?: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

export interface KubernetesConnection {
  /** The answer's JSON. Throws a KubernetesError. */
  ask<T>(query: Query): Promise<T>;
  /** An answer that goes on until it is destroyed. Throws a KubernetesError unless it begins with 200. */
  open(query: Query): Promise<IncomingMessage>;
}

const requestTimeoutMs = 30_000;
/** Of an answer; a page of pods has a few MiB. */
const maxAnswerBytes = 256 * 1024 * 1024;

export function createKubernetesConnection({ kubeconfig, context }: ConnectionOptions): KubernetesConnection {
  /** Read anew for each request, as tokens and certificates change. */
  async function send({ method, path, parameters = {}, contentType, body, signal }: Query): Promise<IncomingMessage> {
    const config = load(await import('@kubernetes/client-node'), { kubeconfig, context });
    const url = new URL((config.getCurrentCluster()?.server ?? '').replace(/\/$/, '') + path);
    for (const [name, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(name, value);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const options: RequestOptions = {
      method,
      ...(signal === undefined ? {} : { signal }),
      headers: {
        accept: 'application/json',
        ...(text === undefined
          ? {}
          : { 'content-type': contentType ?? 'application/json', 'content-length': Buffer.byteLength(text) }),
      },
    };
    await config.applyToHTTPSOptions(options);
    return new Promise((resolve, reject) => {
      const asked = request(url, options, resolve);
      asked.on('socket', (socket) => socket.setKeepAlive(true, 15_000));
      asked.on('error', (cause) => reject(unanswered(cause, signal)));
      asked.end(text);
    });
  }

  return {
    async ask<T>(query: Query) {
      const limit = AbortSignal.timeout(requestTimeoutMs);
      const signal = query.signal === undefined ? limit : AbortSignal.any([query.signal, limit]);
      const response = await send({ ...query, signal });
      const text = await read(response).catch((cause: unknown) => {
        throw unanswered(cause, signal);
      });
      const status = response.statusCode ?? 0;
      if (status < 200 || status > 299) throw refusalIn(status, text);
      return parse(text) as T;
    },
    async open(query) {
      const response = await send(query);
      if (response.statusCode === 200) return response;
      throw refusalIn(response.statusCode ?? 0, await read(response));
    },
  };
}

/** Kubernetes puts it into every pod that may ask. */
const podToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/** Of a kubeconfig, and of the cluster whose pod this process runs in, if it does: that one has no name. */
export async function listContexts(kubeconfig: string | undefined): Promise<(string | undefined)[]> {
  const library = await import('@kubernetes/client-node');
  const own = existsSync(podToken) ? [undefined] : [];
  if (kubeconfig === undefined) return own;
  const config = new library.KubeConfig();
  config.loadFromFile(kubeconfig);
  return [...own, ...config.getContexts().map(({ name }) => name)];
}

function load(library: typeof Kubernetes, { kubeconfig, context }: ConnectionOptions): Kubernetes.KubeConfig {
  const config = new library.KubeConfig();
  if (kubeconfig === undefined) config.loadFromCluster();
  else config.loadFromFile(kubeconfig);
  if (context !== undefined) {
    if (config.getContextObject(context) === null)
      throw new KubernetesError(
        0,
        `kubeconfig ${kubeconfig ?? 'of the pod'} has no context ${JSON.stringify(context)}`,
      );
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new KubernetesError(0, `kubeconfig ${kubeconfig ?? 'of the pod'} has no current cluster`);
  if (cluster.skipTLSVerify)
    throw new KubernetesError(0, `cluster ${cluster.name} is not verified: insecure-skip-tls-verify`);
  if (new URL(cluster.server).protocol !== 'https:')
    throw new KubernetesError(0, `server ${cluster.server} is not https`);
  return config;
}

async function read(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxAnswerBytes) throw new KubernetesError(0, `answer is larger than ${maxAnswerBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubernetesError(0, `answer is no JSON: ${JSON.stringify(text.slice(0, 100))}`, { cause });
  }
}

function unanswered(cause: unknown, signal: AbortSignal | undefined): KubernetesError {
  if (cause instanceof KubernetesError) return cause;
  const why = signal?.aborted === true ? (signal.reason as Error).message : (cause as Error).message;
  return new KubernetesError(0, `no answer: ${why}`, { cause });
}
