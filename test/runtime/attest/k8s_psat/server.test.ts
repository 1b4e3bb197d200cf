// k8s_psat's server half against a stand-in for the API server: what it asks, what it accepts, and what it refuses.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AttestCode, AttestRefusal } from '../../../../runtime/attest/attest-error.ts';
import { createServerAttestor } from '../../../../runtime/attest/server-attestors.ts';
import { parseHcl } from '../../../../runtime/hcl/parse.ts';
import { ecKeys, makeCertificate } from '../certificates.ts';
import { bytes, contextWith, expectRefusal, noChallenge, now, trustDomain } from '../server-context.ts';
import { nodeUid, podUid, startClusterStandIn, user } from './cluster-stand-in.ts';
import type { ClusterStandIn } from './cluster-stand-in.ts';

let cluster: ClusterStandIn;
let directory: string;
const logged: object[] = [];
const log = {
  debug: () => undefined,
  warn: (fields: object, message: string) => void logged.push({ ...fields, message }),
};

beforeAll(async () => {
  cluster = await startClusterStandIn();
  directory = mkdtempSync(join(tmpdir(), 'k8s-psat-'));
  writeFileSync(join(directory, 'kubeconfig'), cluster.kubeconfig);
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await cluster.close();
});
beforeEach(() => {
  cluster.reset();
  cluster.requests.length = 0;
  logged.length = 0;
});

const server = (hcl: string) =>
  createServerAttestor('k8s_psat', parseHcl(hcl), { trustDomain, log, clock: () => now, env: {} });
const configured = (more = '', kubeconfig = join(directory, 'kubeconfig')) =>
  server(`clusters = {
    "production" = {
      service_account_allow_list = ["spire-system:spire-agent"]
      kube_config_file = "${kubeconfig}"
      ${more}
    }
  }`);
const evidence = (fields: object = {}) => JSON.stringify({ cluster: 'production', token: 'a-token', ...fields });
const attest = (payload = evidence(), judge = configured()) => judge.attest(bytes(payload), noChallenge, contextWith());

describe('k8s_psat accepts', () => {
  it('a token of a pod on a node, and says where it is', async () => {
    const { spiffeId, selectors, canReattest } = await attest();
    expect(spiffeId.toString()).toBe(`spiffe://example.org/spire/agent/k8s_psat/production/${nodeUid}`);
    expect(selectors).toEqual(
      [
        'cluster:production',
        'agent_ns:spire-system',
        'agent_sa:spire-agent',
        'agent_pod_name:spire-agent-x7k2p',
        `agent_pod_uid:${podUid}`,
        'agent_node_ip:10.0.0.7',
        'agent_node_name:node-1',
        `agent_node_uid:${nodeUid}`,
      ].map((value) => ({ type: 'k8s_psat', value })),
    );
    expect(canReattest).toBe(true);
  });

  it('what the API server says, asked with the token, its audiences and the credentials of the kubeconfig', async () => {
    await attest(evidence(), configured('audience = ["one", "spire-server"]'));
    const [review, ...others] = cluster.requests;
    expect(JSON.parse(review?.body ?? '')).toMatchObject({
      spec: { token: 'a-token', audiences: ['one', 'spire-server'] },
    });
    expect(others.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /api/v1/namespaces/spire-system/pods/spire-agent-x7k2p',
      'GET /api/v1/nodes/node-1',
    ]);
    expect(new Set(cluster.requests.map(({ headers }) => headers.authorization))).toEqual(
      new Set(['Bearer what-the-server-shows']),
    );
  });

  it('the labels that are allowed, and no others', async () => {
    const { selectors } = await attest(
      evidence(),
      configured('allowed_node_label_keys = ["zone", "absent"] allowed_pod_label_keys = ["app"]'),
    );
    expect(selectors.map(({ value }) => value).filter((value) => value.includes('label'))).toEqual([
      'agent_node_label:zone:a',
      'agent_pod_label:app:spire-agent',
    ]);
  });

  it('the pod in the ID, where it is asked for', async () => {
    const { spiffeId } = await attest(evidence(), configured('use_pod_uid_for_agent_id = true'));
    expect(spiffeId.path).toBe(`/spire/agent/k8s_psat/production/pod/${podUid}`);
  });

  it('clusters that are named in several places, and in the form of JSON', async () => {
    const of = (more: object) => ({ service_account_allow_list: ['spire-system:spire-agent'], ...more });
    const here = of({ kube_config_file: join(directory, 'kubeconfig') });
    const json = { clusters: [{ staging: of({}) }, { production: [here] }] };
    const judge = createServerAttestor('k8s_psat', json, { trustDomain, log, clock: () => now, env: {} });
    await expect(attest(evidence(), judge)).resolves.toBeDefined();
  });

  it('the audience of the API server, where none is configured', async () => {
    cluster.review = { authenticated: true, audiences: ['https://kubernetes.default.svc'], user: user() };
    await expect(attest(evidence(), configured('audience = []'))).resolves.toBeDefined();
    expect(JSON.parse(cluster.requests[0]?.body ?? '')).toMatchObject({ spec: { audiences: [] } });
  });
});

describe('k8s_psat refuses evidence', () => {
  it.each<[string, string, AttestRefusal]>([
    ['that is empty', '', 'PAYLOAD_EMPTY'],
    ['that is not JSON', 'production a-token', 'PAYLOAD_MALFORMED'],
    ['without a cluster', evidence({ cluster: '' }), 'PAYLOAD_MALFORMED'],
    ['without a token', evidence({ token: undefined }), 'PAYLOAD_MALFORMED'],
    ['for another cluster', evidence({ cluster: 'staging' }), 'CLUSTER_UNKNOWN'],
    ['for a cluster by a path to it', evidence({ cluster: 'staging/../production' }), 'CLUSTER_UNKNOWN'],
    ['for a cluster that every object has', evidence({ cluster: 'constructor' }), 'CLUSTER_UNKNOWN'],
  ])('%s', async (_, payload, refusal) => {
    await expectRefusal(attest(payload), 'INVALID_ARGUMENT', refusal);
    expect(cluster.requests).toEqual([]);
  });
});

describe('k8s_psat refuses a token', () => {
  const review = (more: object) => ({ authenticated: true, audiences: ['spire-server'], user: user(), ...more });
  const extra = (more: object) => review({ user: user({ extra: { ...user().extra, ...more } }) });
  it.each<[string, object, AttestCode, AttestRefusal]>([
    ['that is not authenticated', review({ authenticated: false }), 'PERMISSION_DENIED', 'TOKEN_UNAUTHENTICATED'],
    ['of which nothing is said', {}, 'PERMISSION_DENIED', 'TOKEN_UNAUTHENTICATED'],
    ['that is authenticated with an error', review({ error: 'half' }), 'INTERNAL', 'TOKEN_REVIEW'],
    ['for another audience', review({ audiences: ['vault'] }), 'PERMISSION_DENIED', 'TOKEN_AUDIENCE'],
    ['for no audience', review({ audiences: undefined }), 'PERMISSION_DENIED', 'TOKEN_AUDIENCE'],
    ['of nobody', review({ user: undefined }), 'PERMISSION_DENIED', 'SERVICE_ACCOUNT'],
    ['of a user', review({ user: user({ username: 'jane' }) }), 'PERMISSION_DENIED', 'SERVICE_ACCOUNT'],
    [
      'of a user who is called like a service account',
      review({ user: user({ username: 'oidc:somebody:spire-system:spire-agent' }) }),
      'PERMISSION_DENIED',
      'SERVICE_ACCOUNT',
    ],
    [
      'of a service account without a name',
      review({ user: user({ username: 'system:serviceaccount:spire-system:' }) }),
      'PERMISSION_DENIED',
      'SERVICE_ACCOUNT',
    ],
    [
      'of another service account',
      review({ user: user({ username: 'system:serviceaccount:default:spire-agent' }) }),
      'PERMISSION_DENIED',
      'SERVICE_ACCOUNT_NOT_ALLOWED',
    ],
    [
      'of a secret, which is bound to no pod',
      review({ user: user({ extra: {} }) }),
      'PERMISSION_DENIED',
      'POD_UNBOUND',
    ],
    [
      'without a pod name',
      extra({ 'authentication.kubernetes.io/pod-name': [''] }),
      'PERMISSION_DENIED',
      'POD_UNBOUND',
    ],
    ['without a pod UID', extra({ 'authentication.kubernetes.io/pod-uid': [] }), 'PERMISSION_DENIED', 'POD_UNBOUND'],
    [
      'of two pods',
      extra({ 'authentication.kubernetes.io/pod-uid': [podUid, 'b'] }),
      'PERMISSION_DENIED',
      'POD_UNBOUND',
    ],
  ])('%s', async (_, said, code, refusal) => {
    cluster.review = said;
    await expectRefusal(attest(), code, refusal, /"production"/);
  });

  it('and says why in the log, not to the caller', async () => {
    cluster.review = { authenticated: false, error: 'signed by nobody we know' };
    await expectRefusal(attest(), 'PERMISSION_DENIED', 'TOKEN_UNAUTHENTICATED', /^(?!.*nobody we know)/);
    expect(logged).toMatchObject([{ cluster: 'production', reason: 'signed by nobody we know' }]);
    expect(JSON.stringify(logged)).not.toContain('a-token');
  });
});

describe('k8s_psat refuses a pod', () => {
  it('that is gone', async () => {
    cluster.pod = undefined;
    await expectRefusal(attest(), 'PERMISSION_DENIED', 'POD_NOT_FOUND');
  });

  it('that was made again under the same name', async () => {
    cluster.pod = { ...cluster.pod, metadata: { uid: 'another' } };
    await expectRefusal(attest(), 'PERMISSION_DENIED', 'POD_REPLACED');
  });

  it.each<[string, () => void, AttestRefusal]>([
    ['on no node', () => (cluster.pod = { ...cluster.pod, spec: {} }), 'NODE_UNKNOWN'],
    ['on a node that is gone', () => (cluster.node = undefined), 'NODE_UNKNOWN'],
    ['on a node without a UID', () => (cluster.node = { metadata: { uid: '' } }), 'CLUSTER_UNAVAILABLE'],
    ['on a node with a path for a UID', () => (cluster.node = { metadata: { uid: '../x' } }), 'AGENT_PATH'],
  ])('%s', async (_, change, refusal) => {
    change();
    await expectRefusal(attest(), 'INTERNAL', refusal);
  });
});

describe('k8s_psat does not decide', () => {
  it.each([
    [
      'when the API server refuses to answer',
      { status: 403, body: '{"message": "no rights"}' },
      /status 403.*no rights/,
    ],
    ['when the API server answers what is no review', { body: '{}' }, /expected object/],
  ])('%s', async (_, answer, reason) => {
    cluster.answer = { headers: { 'content-type': 'application/json' }, ...answer };
    await expectRefusal(attest(), 'INTERNAL', 'CLUSTER_UNAVAILABLE', /^unable to validate token with TokenReview API/);
    expect(logged).toMatchObject([{ reason: expect.stringMatching(reason) as string }]);
  });

  const kubeconfig = (change: (text: string) => string): string => {
    const path = join(directory, 'changed');
    writeFileSync(path, change(cluster.kubeconfig));
    return path;
  };
  it.each([
    ['without its kubeconfig', () => join(directory, 'none'), /no such file/],
    [
      'with a kubeconfig that names nobody',
      () => kubeconfig((text) => text.replace('"here"', '"there"')),
      /no current/,
    ],
    [
      'by an API server that is not verified',
      () => kubeconfig((text) => text.replace('"server":', '"insecure-skip-tls-verify": true, "server":')),
      /insecure-skip-tls-verify/,
    ],
    ['by plain HTTP', () => kubeconfig((text) => text.replace('https:', 'http:')), /is not https/],
    [
      'by an API server of another CA',
      () =>
        kubeconfig((text) => {
          const pem = Buffer.from(makeCertificate({ commonName: 'other', keys: ecKeys(), ca: true }).pem);
          return text.replace(
            /"certificate-authority-data":"[^"]*"/,
            `"certificate-authority-data":"${pem.toString('base64')}"`,
          );
        }),
      /fetch failed: unable to verify the first certificate|self-signed/,
    ],
    ['outside of a pod, where no kubeconfig is configured', () => '', /not in a pod/],
  ])('%s', async (_, path, reason) => {
    const judge = configured('', path());
    await expectRefusal(attest(evidence(), judge), 'INTERNAL', 'CLUSTER_UNAVAILABLE');
    expect(logged).toMatchObject([{ reason: expect.stringMatching(reason) as string }]);
    expect(cluster.requests).toEqual([]);
  });
});

describe('k8s_psat is not configured', () => {
  const account = 'service_account_allow_list = ["a:b"]';
  it.each([
    ['with a cluster name that is a path', `clusters = { "../x" = { ${account} } }`, /"\.\.\/x" cannot stand/],
    ['with a cluster name that leads upwards', `clusters = { ".." = { ${account} } }`, /"\.\." cannot stand/],
    ['with a cluster name of nothing', `clusters = { "" = { ${account} } }`, /"" cannot stand/],
    ['without service accounts', 'clusters = { "a" = { } }', /service_account_allow_list/],
    [
      'with a service account of no namespace',
      'clusters = { "a" = { service_account_allow_list = ["b"] } }',
      /namespace:name/,
    ],
    [
      'with a key that it does not know',
      `clusters = { "a" = { ${account} kubeconfig = "x" } }`,
      /unknown key "kubeconfig"/,
    ],
  ])('%s', (_, hcl, message) => {
    expect(() => server(hcl)).toThrow(message);
  });

  it('twice for one cluster', () => {
    expect(() => server(`clusters { "a" { ${account} } } clusters { "a" { ${account} } }`)).toThrow(
      'clusters: "a" is configured twice',
    );
  });

  it('for any cluster, where none is named, and says so', async () => {
    const judge = server('');
    expect(logged).toMatchObject([{ message: 'No clusters configured, PSAT attestation is effectively disabled' }]);
    await expectRefusal(attest(evidence(), judge), 'INVALID_ARGUMENT', 'CLUSTER_UNKNOWN');
  });
});
