// Asks a cluster's API server about a token, a pod and a node. The library is loaded at the first question: it weighs more than an agent, and a server
// that attests no node of Kubernetes never loads it.
import type * as Kubernetes from '@kubernetes/client-node';
import * as z from 'zod';
import { undecided } from '../attest-error.ts';
import type { AttestLog } from '../attestor.ts';
import { apiConfiguration, loadKubeConfig, reasonOf } from './kube-config.ts';
import type { KubeConfigSource } from './kube-config.ts';
import { tokenReviewSchema } from './token-review.ts';
import type { TokenReview } from './token-review.ts';

export interface PodRecord {
  readonly uid: string;
  readonly nodeName: string;
  readonly hostIp: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface NodeRecord {
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ClusterApi {
  reviewToken(token: string, audiences: readonly string[], signal: AbortSignal): Promise<TokenReview>;
  findPod(namespace: string, name: string, signal: AbortSignal): Promise<PodRecord | undefined>;
  findNode(name: string, signal: AbortSignal): Promise<NodeRecord | undefined>;
}

const timeoutMs = 20_000;
const labels = z.record(z.string(), z.string()).default({});
const podSchema = z
  .object({
    metadata: z.object({ uid: z.string().min(1), labels }),
    spec: z.object({ nodeName: z.string().default('') }),
    status: z.object({ hostIP: z.string().default('') }).prefault({}),
  })
  .transform(({ metadata, spec, status }) => ({ ...metadata, nodeName: spec.nodeName, hostIp: status.hostIP }));
const nodeSchema = z
  .object({ metadata: z.object({ uid: z.string().min(1), labels }) })
  .transform(({ metadata }) => metadata);

export interface ClusterApiOptions extends KubeConfigSource {
  /** Of the cluster, as the configuration calls it. */
  readonly name: string;
  readonly log: AttestLog;
}

type Ask<T> = (
  api: <A extends Kubernetes.ApiType>(of: Kubernetes.ApiConstructor<A>) => A,
  library: typeof Kubernetes,
) => Promise<T>;

export function createClusterApi({ name: cluster, log, ...source }: ClusterApiOptions): ClusterApi {
  /** What the API server said goes into the log: the caller, whom nobody knows yet, learns what failed. */
  async function ask<T>(what: string, question: Ask<T>, signal: AbortSignal): Promise<T> {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    try {
      const library = await import('@kubernetes/client-node');
      const config = loadKubeConfig(library, source);
      return await question((of) => new of(apiConfiguration(library, config, limit)), library);
    } catch (cause) {
      log.warn({ cluster, reason: reasonOf(cause) }, `failed to ${what}`);
      throw undecided('CLUSTER_UNAVAILABLE', `unable to ${what} of cluster "${cluster}"`, cause);
    }
  }

  return {
    reviewToken: (token, audiences, signal) =>
      ask(
        'validate token with TokenReview API',
        async (api, { AuthenticationV1Api, V1TokenReview, V1TokenReviewSpec }) => {
          const spec = Object.assign(new V1TokenReviewSpec(), { token, audiences: [...audiences] });
          const body = Object.assign(new V1TokenReview(), { spec });
          const { status } = await api(AuthenticationV1Api).createTokenReview({ body });
          return tokenReviewSchema.parse(status);
        },
        signal,
      ),
    findPod: (namespace, name, signal) =>
      ask(
        'get pod',
        (api, { CoreV1Api }) => unlessMissing(api(CoreV1Api).readNamespacedPod({ namespace, name }), podSchema),
        signal,
      ),
    findNode: (name, signal) =>
      ask('get node', (api, { CoreV1Api }) => unlessMissing(api(CoreV1Api).readNode({ name }), nodeSchema), signal),
  };
}

async function unlessMissing<T extends z.ZodType>(
  asked: Promise<unknown>,
  schema: T,
): Promise<z.output<T> | undefined> {
  const answer = await asked.catch((cause: unknown) => {
    if ((cause as { code?: unknown }).code === 404) return undefined;
    throw cause;
  });
  return answer === undefined ? undefined : schema.parse(answer);
}
