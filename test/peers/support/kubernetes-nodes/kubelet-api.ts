// The kubelet's own API as far as a workload attestor asks it: `/pods`, for whoever has a token that the API server's TokenReview knows, and the rights to ask
// this node's pods that its SubjectAccessReview confirms. Its certificate is its own.
import { createServer } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { ecKeys, makeCertificate } from '../../../runtime/attest/certificates.ts';
import type { KubernetesUser } from '../kubernetes.ts';
import type { Pod } from './objects.ts';

export interface KubeletApiOptions {
  /** As the node, which may ask for reviews. */
  readonly api: KubernetesUser;
  readonly node: string;
  readonly socketPath: string;
  readonly pods: () => readonly Pod[];
}

export const kubeletPort = 10_250;

export async function serveKubeletApi({ api, node, socketPath, pods }: KubeletApiOptions): Promise<() => void> {
  const keys = ecKeys();
  const cert = makeCertificate({ commonName: node, keys, ipv4: '127.0.0.1' }).pem;
  const key = String(keys.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const server = createServer({ cert, key }, (asked, response) => {
    const answer = (status: number, body: string) => {
      response.writeHead(status, { 'content-type': status === 200 ? 'application/json' : 'text/plain' }).end(body);
    };
    judge(asked, api, node).then(
      (status) => answer(status, status === 200 ? list(pods()) : `${status}`),
      (error: unknown) => answer(500, (error as Error).message),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(socketPath, resolve));
  return () => {
    server.close();
    server.closeAllConnections();
  };
}

const list = (items: readonly Pod[]): string =>
  JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items });

interface TokenReview {
  readonly status: {
    readonly authenticated?: boolean;
    readonly user?: { readonly username: string; readonly uid?: string; readonly groups?: readonly string[] };
  };
}

async function judge({ url, headers }: IncomingMessage, api: KubernetesUser, node: string): Promise<number> {
  if (url?.replace(/\/$/, '') !== '/pods') return 404;
  const [, token] = /^Bearer (.+)$/i.exec(headers.authorization ?? '') ?? [];
  if (token === undefined) return 401;
  const reviews = '/apis/authentication.k8s.io/v1/tokenreviews';
  const { status } = await api.call<TokenReview>('POST', reviews, { spec: { token } });
  if (status.authenticated !== true || status.user === undefined) return 401;
  const { username: user, uid, groups } = status.user;
  // As the kubelet asks since 1.33: the narrow right first, then the one over all that it can do.
  for (const subresource of ['pods', 'proxy']) {
    const resourceAttributes = { verb: 'get', version: 'v1', resource: 'nodes', subresource, name: node };
    const spec = { user, uid, groups, resourceAttributes };
    const access = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
    const review = await api.call<{ status: { allowed: boolean } }>('POST', access, { spec });
    if (review.status.allowed) return 200;
  }
  return 403;
}
