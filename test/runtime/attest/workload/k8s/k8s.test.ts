// The workload attestor "k8s" against a STAND-IN for the kubelet (an HTTP server of this test) and a /proc of files that this test writes in the forms
// of real hosts: nothing here is a real kubelet, container or control group.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createWorkloadAttestor } from '../../../../../runtime/agent/workload-attestors.ts';
import { parseK8sConfig } from '../../../../../runtime/attest/workload/k8s/config.ts';
import { createK8sAttestor } from '../../../../../runtime/attest/workload/k8s/k8s.ts';
import { parseHcl } from '../../../../../runtime/hcl/parse.ts';
import { createLog } from '../../../../../runtime/log.ts';
import { ecKeys, makeCertificate } from '../../certificates.ts';
import { startHttpService } from '../../http-service.ts';
import type { Answer, HttpService } from '../../http-service.ts';
import {
  containerSelectors,
  id,
  initId,
  list,
  otherId,
  otherPod,
  otherUid,
  pod,
  podSelectors,
  podUid,
  status,
} from './pods.ts';

const pid = 123;
const systemdUid = podUid.replaceAll('-', '_');
const logged: Record<string, unknown>[] = [];
const log = createLog({ level: 'debug', format: 'json', write: (line) => void logged.push(JSON.parse(line) as never) });

let directory: string;
let kubelet: HttpService;
let secureKubelet: HttpService;
let apiServer: HttpService;
/** What the API server says of a path. */
let apiAnswer: (url: string) => Answer;
/** What a kubelet says when it is asked for the n-th time. */
let answer: (times: number) => Answer;

const ca = makeCertificate({ commonName: 'cluster', keys: ecKeys(), ca: true });
const serving = makeCertificate({ commonName: 'kubelet', keys: ecKeys(), issuer: ca });
const apiServing = makeCertificate({ commonName: 'api', keys: ecKeys(), issuer: ca, ipv4: '127.0.0.1' });
const client = makeCertificate({ commonName: 'agent', keys: ecKeys(), issuer: ca });
const keyPem = ({ keys }: typeof ca): string => String(keys.privateKey.export({ format: 'pem', type: 'pkcs8' }));
const file = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'k8s-'));
  const respond = (asked: HttpService['requests'][number], service: HttpService): Answer =>
    asked.url === '/pods' ? answer(service.requests.length) : { status: 404 };
  kubelet = await startHttpService((asked) => respond(asked, kubelet));
  secureKubelet = await startHttpService((asked) => respond(asked, secureKubelet), {
    key: keyPem(serving),
    cert: serving.pem,
    ca: ca.pem,
    requestCert: true,
    rejectUnauthorized: false,
  });
  apiServer = await startHttpService((asked) => apiAnswer(asked.url), {
    key: keyPem(apiServing),
    cert: apiServing.pem,
  });
  mkdirSync(file('account'));
  writeFileSync(file('account/ca.crt'), ca.pem);
  writeFileSync(file('account/token'), 'the-pods-own\n');
  writeFileSync(file('ca.pem'), ca.pem);
  writeFileSync(file('other-ca.pem'), makeCertificate({ commonName: 'other', keys: ecKeys(), ca: true }).pem);
  writeFileSync(file('client.pem'), client.pem);
  writeFileSync(file('client.key'), keyPem(client));
  writeFileSync(file('token'), 'what-the-agent-shows\n');
  writeFileSync(file('empty'), '');
});
afterAll(async () => {
  rmSync(directory, { recursive: true });
  await kubelet.close();
  await secureKubelet.close();
  await apiServer.close();
});
beforeEach(() => {
  kubelet.requests.length = 0;
  secureKubelet.requests.length = 0;
  apiServer.requests.length = 0;
  logged.length = 0;
  answer = () => ({ body: list(otherPod(), pod()) });
});

const portOf = ({ host }: HttpService): string => host.split(':')[1] ?? '';
const quick = 'poll_retry_interval = "10ms" max_poll_attempts = 3';

interface Attempt {
  readonly mountinfo?: string;
  readonly hcl?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: () => number;
  readonly signal?: AbortSignal;
}

async function attestorOf({
  hcl = `kubelet_read_only_port = ${portOf(kubelet)} ${quick}`,
  env = {},
  clock = () => performance.now(),
}: Attempt = {}) {
  return createK8sAttestor({
    ...parseK8sConfig(parseHcl(hcl), { env, accountDirectory: file('account') }),
    log,
    clock,
    procDirectory: file('proc'),
  });
}

async function attest(cgroup: string, attempt: Attempt = {}): Promise<string[]> {
  mkdirSync(file(`proc/${pid}`), { recursive: true });
  writeFileSync(file(`proc/${pid}/cgroup`), cgroup);
  writeFileSync(file(`proc/${pid}/mountinfo`), attempt.mountinfo ?? '');
  const attestor = await attestorOf(attempt);
  const found = await attestor.attest(pid, attempt.signal ?? AbortSignal.timeout(60_000));
  return found.map(({ type, value }) => `${type}:${value}`);
}

const v1 = (path: string): string => `11:memory:${path}\n4:cpu,cpuacct:${path}\n1:name=systemd:${path}\n0::/\n`;
const v2 = (path: string): string => `0::${path}\n`;
const containerd = `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${systemdUid}.slice/cri-containerd-${id}.scope`;
const all = [...podSelectors, ...containerSelectors];
const refused = (message: string | RegExp) => ({
  code: 'CONTAINER',
  message: expect.stringMatching(message) as string,
});

describe('a process in a pod', () => {
  it.each([
    ['containerd, cgroupfs, version 1', v1(`/kubepods/burstable/pod${podUid}/${id}`)],
    ['containerd, cgroupfs, version 2', v2(`/kubepods/besteffort/pod${podUid}/${id}`)],
    ['containerd, systemd, version 1', v1(containerd)],
    ['containerd, systemd, version 2', v2(containerd)],
    [
      'containerd, whose service names both in one part',
      v1(`/system.slice/containerd.service/kubepods-besteffort-pod${systemdUid}.slice:cri-containerd:${id}`),
    ],
    [
      'CRI-O, systemd, version 1',
      v1(`/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod${systemdUid}.slice/crio-${id}.scope`),
    ],
    [
      'CRI-O, systemd, version 2, below the scope',
      v2(`/kubepods.slice/kubepods-pod${systemdUid}.slice/crio-${id}.scope/container`),
    ],
    ['CRI-O, which names no pod', v2(`/../crio-${id}.scope`)],
    ['Docker, cgroupfs, version 1', v1(`/kubepods/pod${podUid}/${id}`)],
    ['Docker, systemd, version 2', v2(`/kubepods.slice/kubepods-pod${systemdUid}.slice/docker-${id}.scope`)],
    ['a node that is a container itself', v1(`/docker/${otherId}/kubepods/besteffort/pod${podUid}/${id}`)],
    [
      'a node that is a container itself, with a group of that container alone',
      `1:cpuset:/docker/${otherId}/kubepods/besteffort/pod${podUid}/${id}\n0::/docker/${otherId}/system.slice/kubelet.service\n`,
    ],
    ['another control group namespace than ours', v2(`/../../pod${podUid}/${id}`)],
  ])('is described by pod and container: %s', async (_, cgroup) => {
    expect((await attest(cgroup)).sort()).toEqual([...all].sort());
  });

  it('is described by its init container', async () => {
    const found = await attest(v2(`/kubepods/pod${podUid}/${initId}`));
    expect(found.filter((value) => value.includes(':container-'))).toEqual([
      'k8s:container-name:init',
      'k8s:container-image:init-digest',
      'k8s:container-image:init:1',
    ]);
  });

  it('is described by a static pod, whose UID is a digest', async () => {
    const uid = '0f'.repeat(16);
    answer = () => ({ body: list(pod({ metadata: { uid } })) });
    expect(await attest(v2(`/kubepods.slice/kubepods-burstable-pod${uid}.slice/crio-${id}.scope`))).toContain(
      `k8s:pod-uid:${uid}`,
    );
  });

  it('is described by mounts, where it shares our control group namespace', async () => {
    const mountinfo = `1 0 0:1 /kubepods/pod${podUid}/${id} /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n`;
    expect(await attest(v2('/'), { mountinfo })).toEqual(all);
  });

  it('is described by its pod alone, where containers are not asked for', async () => {
    const hcl = `kubelet_read_only_port = ${portOf(kubelet)} ${quick} disable_container_selectors = true`;
    expect(await attest(v2(containerd), { hcl })).toEqual(podSelectors);
    answer = () => ({ body: list(pod({ status: { containerStatuses: [] } })) });
    expect(await attest(v2(containerd), { hcl })).toContain(`k8s:pod-uid:${podUid}`);
  });

  it('is described without images that are not known yet', async () => {
    answer = () => ({ body: list(pod({ status: { containerStatuses: [status({ imageID: '' })] } })) });
    const found = await attest(v2(containerd));
    expect(found.filter((value) => value.startsWith('k8s:container-image'))).toEqual([
      'k8s:container-image:registry.example.org/web:1.4',
    ]);
  });
});

describe('a process in no pod', () => {
  it.each([
    ['at the top', v2('/')],
    ['of a service', v1('/system.slice/sshd.service')],
    ['whose pod has no container', v2(`/kubepods/pod${podUid}`)],
  ])('has no selectors, and the kubelet is not asked: %s', async (_, cgroup) => {
    expect(await attest(cgroup)).toEqual([]);
    expect(kubelet.requests).toEqual([]);
  });
});

describe('a pod that appears late', () => {
  it('is waited for, and so is its container', async () => {
    const lists = [list(), list(pod({ status: { containerStatuses: [status({ containerID: '' })] } })), list(pod())];
    answer = (times) => ({ body: lists[times - 1] ?? '' });
    expect(await attest(v2(containerd))).toEqual(all);
    expect(kubelet.requests).toHaveLength(3);
  });

  it('is waited for while the kubelet does not answer well', async () => {
    answer = (times) => (times < 3 ? { status: 503, body: 'starting' } : { body: list(pod()) });
    expect(await attest(v2(containerd))).toEqual(all);
    expect(logged.filter(({ msg }) => msg === 'Unable to get pod list; will retry after backoff')).toHaveLength(2);
  });

  it('is waited for by many with the same questions', async () => {
    answer = (times) => ({ body: times < 3 ? list() : list(pod()) });
    mkdirSync(file(`proc/${pid}`), { recursive: true });
    writeFileSync(file(`proc/${pid}/cgroup`), v2(containerd));
    const attestor = await attestorOf({ clock: () => 0 }); // by which no list grows old before the last of them looks at it
    const found = await Promise.all(
      Array.from({ length: 20 }, () => attestor.attest(pid, AbortSignal.timeout(60_000))),
    );
    expect(found.map((selectors) => selectors.length)).toEqual(Array(20).fill(all.length));
    expect(kubelet.requests).toHaveLength(3);
  });

  it('is not waited for longer than the caller is', async () => {
    answer = () => ({ body: list() });
    const hcl = `kubelet_read_only_port = ${portOf(kubelet)} poll_retry_interval = "10ms" max_poll_attempts = 1000000`;
    const attempt = attest(v2(containerd), { hcl, signal: AbortSignal.timeout(200) });
    await expect(attempt).rejects.toMatchObject({ name: 'TimeoutError' });
  });
});

describe('no selectors', () => {
  it('for a container that no pod has', async () => {
    await expect(attest(v2(`/kubepods/pod${podUid}/${'b'.repeat(64)}`))).rejects.toMatchObject(
      refused(/^container b+ is in no pod after 3 attempts$/),
    );
  });

  it('for a container of another pod than the one that its path names', async () => {
    await expect(attest(v2(`/kubepods/pod${otherUid}/${id}`))).rejects.toMatchObject(refused(/is in no pod/));
  });

  it('for a container that somebody debugs the pod from', async () => {
    await expect(attest(v2(`/kubepods/pod${podUid}/${otherId}`))).rejects.toMatchObject(refused(/is in no pod/));
  });

  it('for a pod that a container made up in a control group of its own', async () => {
    const path = `/kubepods/pod${otherUid}/${otherId}/kubepods/pod${podUid}/${id}`;
    await expect(attest(v2(path))).rejects.toMatchObject(refused(new RegExp(`^container ${otherId} is in no pod`)));
  });

  it('where two pods have the container', async () => {
    answer = () => ({ body: list(pod(), otherPod({ status: { containerStatuses: [status()] } })) });
    await expect(attest(v2(`/../crio-${id}.scope`))).rejects.toMatchObject(refused(/is in 2 pods$/));
  });

  it('where the groups name two containers, or two pods', async () => {
    const containers = v1(containerd) + v2(containerd.replace(id, otherId));
    await expect(attest(containers)).rejects.toMatchObject(refused(/several container ids/));
    const pods = v1(containerd) + v2(containerd.replace(systemdUid, otherUid));
    await expect(attest(pods)).rejects.toMatchObject(refused(/several pods/));
  });

  it('below the slice of a user, who may have named the group', async () => {
    const path = `/user.slice/user-1000.slice/user@1000.service/kubepods-pod${systemdUid}.slice/cri-containerd-${id}.scope`;
    await expect(attest(v2(path))).rejects.toMatchObject(refused(/below the slice of user 1000/));
    expect(kubelet.requests).toEqual([]);
  });

  it('from a mount, where the kernel names the group', async () => {
    const mountinfo = `1 0 0:1 /kubepods/pod${podUid}/${id} /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n`;
    expect(await attest(v2('/system.slice/sshd.service'), { mountinfo })).toEqual([]);
  });

  it.each([
    ['does not let us', { status: 403, body: 'Forbidden (user=agent)' }, /status 403: "Forbidden \(user=agent\)"$/],
    ['answers what is no JSON', { body: 'pods' }, /answer is malformed at :/],
    ['answers what is no list', { body: '{"items": 1}' }, /answer is malformed at items/],
    ['answers a pod that is none', { body: '{"items": [{}]}' }, /answer is malformed at items\.0\.metadata/],
  ])('where the kubelet %s', async (_, said, message) => {
    answer = () => said;
    await expect(attest(v2(containerd))).rejects.toMatchObject({
      code: 'KUBELET',
      message: expect.stringMatching(message) as string,
    });
  });

  it('where there is no kubelet', async () => {
    const hcl = `kubelet_read_only_port = 1 ${quick}`;
    await expect(attest(v2(containerd), { hcl })).rejects.toMatchObject({ code: 'KUBELET' });
  });
});

describe('the secure port', () => {
  const secure = (more: string): string =>
    `kubelet_secure_port = ${portOf(secureKubelet)} ${quick} ${more.replaceAll('{}', directory)}`;
  const verified = 'kubelet_ca_path = "{}/ca.pem"';

  it('is shown the token as it is now', async () => {
    const hcl = secure(`${verified} token_path = "{}/token" reload_interval = "1ns"`);
    expect(await attest(v2(containerd), { hcl })).toEqual(all);
    expect(secureKubelet.requests[0]?.headers.authorization).toBe('Bearer what-the-agent-shows');
    mkdirSync(file(`proc/${pid}`), { recursive: true });
    const attestor = await attestorOf({ hcl });
    writeFileSync(file('token'), 'another\n');
    await attestor.attest(pid, AbortSignal.timeout(60_000));
    writeFileSync(file('token'), 'what-the-agent-shows\n');
    expect(secureKubelet.requests.at(-1)?.headers.authorization).toBe('Bearer another');
  });

  it('is shown a client certificate, or nothing', async () => {
    const certificate = 'certificate_path = "{}/client.pem" private_key_path = "{}/client.key"';
    expect(await attest(v2(containerd), { hcl: secure(`${verified} ${certificate}`) })).toEqual(all);
    expect(secureKubelet.requests[0]).toMatchObject({ clientName: 'agent' });
    expect(secureKubelet.requests[0]?.headers.authorization).toBeUndefined();
    await attest(v2(containerd), { hcl: secure(`${verified} use_anonymous_authentication = true`) });
    expect(secureKubelet.requests[1]).toMatchObject({ clientName: undefined });
    expect(secureKubelet.requests[1]?.headers.authorization).toBeUndefined();
  });

  it('is not believed by another CA, nor by another node’s name', async () => {
    const other = secure('kubelet_ca_path = "{}/other-ca.pem" use_anonymous_authentication = true');
    await expect(attest(v2(containerd), { hcl: other })).rejects.toMatchObject({
      code: 'KUBELET',
      message: expect.stringMatching(/unable to verify|self-signed/) as string,
    });
    const named = secure(`${verified} use_anonymous_authentication = true`);
    const env = { MY_NODE_NAME: 'localhost' };
    await expect(attest(v2(containerd), { hcl: named, env })).rejects.toMatchObject({
      code: 'KUBELET',
      message: expect.stringMatching(/Hostname\/IP does not match/) as string,
    });
    expect(secureKubelet.requests).toEqual([]);
  });

  it('is believed whoever answers, where that is asked for, and says so', async () => {
    const hcl = secure('skip_kubelet_verification = true use_anonymous_authentication = true');
    expect(await attest(v2(containerd), { hcl })).toEqual(all);
    expect(logged).toMatchObject([{ msg: expect.stringMatching(/^Kubelet is not verified/) as string }]);
  });

  it.each([
    ['its CA', 'kubelet_ca_path = "{}/none"', /unable to load kubelet CA from .*\/none: ENOENT$/],
    ['its token', `${verified} token_path = "{}/empty"`, /unable to load token from .*\/empty: file is empty$/],
    [
      'a key that is one',
      `${verified} certificate_path = "{}/client.pem" private_key_path = "{}/token"`,
      /certificates or key are not usable/,
    ],
  ])('is not opened without %s', async (_, more, message) => {
    await expect(attestorOf({ hcl: secure(more) })).rejects.toThrow(message);
  });
});

describe('labels of the namespace', () => {
  const namespace = (labels: object | null): string => JSON.stringify({ metadata: { name: 'production', labels } });
  const attempt = (more = ''): Attempt => ({
    hcl: `kubelet_read_only_port = ${portOf(kubelet)} ${quick} enable_namespace_labels = true ${more}`,
    env: { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: portOf(apiServer) },
  });
  beforeEach(() => {
    apiAnswer = (url) =>
      url === '/api/v1/namespaces/production' ? { body: namespace({ team: 'web', stage: 'prod' }) } : { status: 404 };
  });

  it('are asked of the API server, as the pod that the agent is', async () => {
    const found = await attest(v2(containerd), attempt());
    expect(found).toEqual([...all, 'k8s:ns-label:team:web', 'k8s:ns-label:stage:prod']);
    expect(apiServer.requests[0]?.headers.authorization).toBe('Bearer the-pods-own');
  });

  it('may be none', async () => {
    apiAnswer = () => ({ body: namespace(null) });
    expect(await attest(v2(containerd), attempt())).toEqual(all);
  });

  it('are asked for once by many, and again when that was a while ago', async () => {
    mkdirSync(file(`proc/${pid}`), { recursive: true });
    writeFileSync(file(`proc/${pid}/cgroup`), v2(containerd));
    let now = 0;
    const attestor = await attestorOf({ ...attempt(), clock: () => now });
    const describeIt = () => attestor.attest(pid, AbortSignal.timeout(60_000));
    await Promise.all([describeIt(), describeIt(), describeIt()]);
    expect(apiServer.requests).toHaveLength(1);
    now += 10;
    await describeIt();
    expect(apiServer.requests).toHaveLength(2);
  });

  it('leave no selectors at all, where the API server does not tell them', async () => {
    apiAnswer = () => ({ status: 403, body: 'no rights' });
    await expect(attest(v2(containerd), attempt())).rejects.toMatchObject({
      code: 'API_SERVER',
      message: 'unable to get labels of namespace "production": status 403: "no rights"',
    });
  });

  it('are not asked of an API server that another CA knows', async () => {
    const parsed = parseK8sConfig(parseHcl(attempt().hcl ?? ''), {
      env: attempt().env ?? {},
      accountDirectory: file('account'),
    });
    if (parsed.apiServer === undefined) throw new Error('there is no API server');
    const config = { ...parsed, apiServer: { ...parsed.apiServer, caPath: file('other-ca.pem') } };
    const attestor = await createK8sAttestor({ ...config, log, procDirectory: file('proc') });
    await expect(attestor.attest(pid, AbortSignal.timeout(60_000))).rejects.toMatchObject({ code: 'API_SERVER' });
    expect(apiServer.requests).toEqual([]);
  });
});

describe('the configuration', () => {
  it('is SPIRE’s, with SPIRE’s defaults', () => {
    expect(parseK8sConfig({}, { env: { MY_NODE_NAME: 'node-1' } })).toEqual({
      kubelet: {
        port: 10250,
        secure: true,
        nodeName: 'node-1',
        caPath: '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt',
        credentials: { kind: 'token', path: '/var/run/secrets/kubernetes.io/serviceaccount/token' },
        reloadIntervalMs: 60_000,
      },
      apiServer: undefined,
      maxPollAttempts: 60,
      pollRetryIntervalMs: 500,
      disableContainerSelectors: false,
      verboseContainerLocatorLogs: false,
    });
    expect(
      parseK8sConfig(parseHcl('node_name_env = "NODE" node_name = "given"'), { env: { NODE: 'env' } }).kubelet,
    ).toMatchObject({
      nodeName: 'given',
    });
    expect(parseK8sConfig(parseHcl('node_name_env = "NODE"'), { env: { NODE: '' } }).kubelet).toMatchObject({
      nodeName: undefined,
    });
  });

  it.each([
    ['both ports', 'kubelet_read_only_port = 1 kubelet_secure_port = 2', /only one of kubelet_read_only_port/],
    ['a certificate without its key', 'certificate_path = "a"', /go together/],
    ['two ways to be known', 'token_path = "a" use_anonymous_authentication = true', /only one of token_path/],
    ['an interval that is none', 'poll_retry_interval = "often"', /poll_retry_interval/],
    ['sigstore', 'sigstore { }', /signatures of images are not verified here/],
    ['the Broker API', 'experimental { broker { } }', /neither the Broker API/],
    [
      'labels of namespaces outside of a pod',
      'enable_namespace_labels = true',
      /enable_namespace_labels: .*not in a pod/,
    ],
    ['no kubelet', 'disable_kubelet_client = true', /for the Broker API alone/],
    ['the legacy locator', 'use_new_container_locator = false', /legacy container locator/],
    ['a key that nobody knows', 'kubelet_port = 1', /unknown key "kubelet_port"/],
  ])('is refused with %s', async (_, hcl, message) => {
    await expect(createWorkloadAttestor('k8s', parseHcl(hcl), log)).rejects.toThrow(message);
  });
});
