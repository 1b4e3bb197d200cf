// A stand-in for a cluster's API server: it answers the three questions of k8s_psat over HTTPS and knows nothing else. What the real one says of real
// tokens is in test/peers.
import { ecKeys, makeCertificate } from '../certificates.ts';
import { startHttpService } from '../http-service.ts';
import type { Answer, HttpService } from '../http-service.ts';

export interface ClusterStandIn extends HttpService {
  /** What it says; a test changes what it wants. */
  review: object;
  pod: object | undefined;
  node: object | undefined;
  /** Instead of all of it. */
  answer: Answer | undefined;
  readonly kubeconfig: string;
  reset(): void;
}

export const podUid = '5b1f6f2e-0d5a-4d0c-9a43-8b1f5f0f1c11';
export const nodeUid = '0c7b9a52-3a0e-4b8e-8d54-3f6c2f0c9d22';

export const user = (more: object = {}) => ({
  username: 'system:serviceaccount:spire-system:spire-agent',
  extra: {
    'authentication.kubernetes.io/pod-name': ['spire-agent-x7k2p'],
    'authentication.kubernetes.io/pod-uid': [podUid],
  },
  ...more,
});

const state = () => ({
  review: { authenticated: true, audiences: ['spire-server'], user: user() } as object,
  pod: {
    metadata: { name: 'spire-agent-x7k2p', uid: podUid, labels: { app: 'spire-agent', tier: 'system' } },
    spec: { nodeName: 'node-1' },
    status: { hostIP: '10.0.0.7' },
  } as object | undefined,
  node: {
    metadata: { name: 'node-1', uid: nodeUid, labels: { zone: 'a', 'kubernetes.io/hostname': 'node-1' } },
  } as object | undefined,
  answer: undefined as Answer | undefined,
});

export async function startClusterStandIn(): Promise<ClusterStandIn> {
  const missing = { kind: 'Status', status: 'Failure', reason: 'NotFound', code: 404 };
  const reply = (kind: string, found: object | undefined): Answer => {
    const headers = { 'content-type': 'application/json' };
    if (found === undefined) return { status: 404, headers, body: JSON.stringify(missing) };
    return { headers, body: JSON.stringify({ apiVersion: 'v1', kind, ...found }) };
  };
  const ca = makeCertificate({ commonName: 'cluster', keys: ecKeys(), ca: true });
  const serving = makeCertificate({ commonName: 'api', keys: ecKeys(), issuer: ca, ipv4: '127.0.0.1' });
  const key = String(serving.keys.privateKey.export({ format: 'pem', type: 'pkcs8' }));
  const service = await startHttpService(
    ({ method, url }) => {
      if (standIn.answer !== undefined) return standIn.answer;
      if (method === 'POST' && url === '/apis/authentication.k8s.io/v1/tokenreviews')
        return reply('TokenReview', { status: standIn.review });
      if (url === '/api/v1/namespaces/spire-system/pods/spire-agent-x7k2p') return reply('Pod', standIn.pod);
      if (url === '/api/v1/nodes/node-1') return reply('Node', standIn.node);
      return reply('Nothing', undefined);
    },
    { key, cert: serving.pem },
  );
  const kubeconfig = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'here',
    contexts: [{ name: 'here', context: { cluster: 'here', user: 'server' } }],
    clusters: [
      {
        name: 'here',
        cluster: { server: service.url, 'certificate-authority-data': Buffer.from(ca.pem).toString('base64') },
      },
    ],
    users: [{ name: 'server', user: { token: 'what-the-server-shows' } }],
  });
  const standIn: ClusterStandIn = {
    ...service,
    ...state(),
    kubeconfig,
    reset: () => void Object.assign(standIn, state()),
  };
  return standIn;
}
