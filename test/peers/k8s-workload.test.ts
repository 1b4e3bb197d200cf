// SPIRE's agent and ours describe the same process by "k8s": its control groups are the kernel's own, named as containerd names them; the kubelet is a
// STAND-IN (an HTTP server of this test). Needs root, to make control groups.
import { copyFileSync, existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseK8sConfig } from '../../runtime/attest/workload/k8s/config.ts';
import { createK8sAttestor } from '../../runtime/attest/workload/k8s/k8s.ts';
import { createLog } from '../../runtime/log.ts';
import { formatSelector } from '../../runtime/spiffe/selector.ts';
import { startHttpService } from '../runtime/attest/http-service.ts';
import type { HttpService } from '../runtime/attest/http-service.ts';
import {
  containerSelectors,
  id,
  list,
  otherId,
  otherPod,
  pod,
  podSelectors,
  podUid,
} from '../runtime/attest/workload/k8s/pods.ts';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { allow, createNamespace, requestToken } from './support/kubernetes-pods.ts';
import { startKubernetes } from './support/kubernetes.ts';
import { eventually, run } from './support/processes.ts';
import { prepareGoWorkload, prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
const hierarchies = [
  { version: 1, root: '/sys/fs/cgroup/pids' },
  { version: 2, root: existsSync('/sys/fs/cgroup/cgroup.controllers') ? '/sys/fs/cgroup' : '/sys/fs/cgroup/unified' },
].filter(({ root }) => existsSync(join(root, 'cgroup.procs')));
const spiffeId = 'spiffe://example.org/prod/onprem/demo/in-a-pod';
let kubelet: HttpService;
let server: SpireServer;
let goWorkload: string;
const agents = new Map<string, SpireAgent>();

beforeAll(async () => {
  goWorkload = await prepareGoWorkload();
  kubelet = await startHttpService(({ url }) =>
    url === '/pods' ? { body: list(otherPod(), pod()) } : { status: 404 },
  );
  server = await stage.server({ name: 'server' });
  const port = kubelet.host.split(':')[1] ?? '';
  const plugins = `WorkloadAttestor "k8s" {
    plugin_data { kubelet_read_only_port = ${port} max_poll_attempts = 2 poll_retry_interval = "100ms" }
  }`;
  for (const [name, command] of [
    ['ours', undefined],
    ['theirs', await prepareSpireAgent()],
  ] as const) {
    agents.set(name, await stage.agent({ name, server, plugins, ...(command !== undefined && { command }) }));
    await server.createEntry({
      parentId: nodeIdOf(name),
      spiffeId,
      selectors: [...podSelectors, ...containerSelectors],
    });
  }
});
afterAll(async () => {
  await stage.strike();
  await kubelet.close();
});

/** Runs the workload in a control group of that name, which is gone afterwards. */
async function fetchIn(root: string, group: string, { env }: SpireAgent) {
  const directory = join(root, group);
  mkdirSync(directory, { recursive: true });
  try {
    const enter = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    return await run('/bin/sh', ['-c', enter, directory, goWorkload, 'fetch', 'reports'], { env });
  } finally {
    for (let path = directory; path !== root; path = dirname(path)) rmdirSync(path);
  }
}

it('runs where the kernel has control groups', () => {
  expect(hierarchies).not.toEqual([]);
});

describe.each(hierarchies)('control groups of version $version', ({ version, root }) => {
  describe.each(['ours', 'theirs'])('under the agent that is %s', (name) => {
    const agent = (): SpireAgent => {
      const found = agents.get(name);
      if (found === undefined) throw new Error(`no agent is ${name}`);
      return found;
    };
    const own = `espalier-${version}-${name}.slice`;

    it('a process in a pod has the pod’s and the container’s selectors, all of them', async () => {
      const group = `${own}/kubepods-burstable-pod${podUid.replaceAll('-', '_')}.slice/cri-containerd-${id}.scope`;
      const fetched = await eventually('the SVID', async () => {
        const ended = await fetchIn(root, group, agent());
        if (ended.code !== 0) throw new Error(ended.stderr);
        return JSON.parse(ended.stdout) as { id: string };
      });
      expect(fetched.id).toBe(spiffeId);
    });

    it('a process in a container that the pod does not have gets nothing', async () => {
      const group = `${own}/kubepods-burstable-pod${podUid.replaceAll('-', '_')}.slice/cri-containerd-${otherId}.scope`;
      const { code, stderr } = await fetchIn(root, group, agent());
      expect({ code, stderr }).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('no identity issued') as string,
      });
    });
  });
});

it('labels of the namespace come from a real API server, by the rights of the pod’s service account', async () => {
  const kubernetes = stage.add(await startKubernetes(stage));
  const namespace = 'production';
  const account = 'spire-agent';
  await createNamespace(kubernetes, namespace, [account]);
  const labels = { metadata: { labels: { team: 'web' } } };
  const contentType = 'application/merge-patch+json';
  await kubernetes.administrator.call('PATCH', `/api/v1/namespaces/${namespace}`, labels, { contentType });
  const accountDirectory = join(stage.directory, 'account');
  const procDirectory = join(stage.directory, 'proc');
  mkdirSync(accountDirectory);
  mkdirSync(join(procDirectory, '123'), { recursive: true });
  copyFileSync(kubernetes.caPath, join(accountDirectory, 'ca.crt'));
  const token = await requestToken(kubernetes, { namespace, account, audiences: [kubernetes.url] });
  writeFileSync(join(accountDirectory, 'token'), token, { mode: 0o600 });
  writeFileSync(join(procDirectory, '123/cgroup'), `0::/kubepods/pod${podUid}/${id}\n`);
  const { hostname, port } = new URL(kubernetes.url);
  const data = { enable_namespace_labels: true, kubelet_read_only_port: Number(kubelet.host.split(':')[1]) };
  const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };
  const log = createLog({ level: 'error', format: 'text', write: () => undefined });
  const attestor = await createK8sAttestor({ ...parseK8sConfig(data, { env, accountDirectory }), log, procDirectory });
  const attest = async () => (await attestor.attest(123, AbortSignal.timeout(10_000))).map(formatSelector);
  await expect(attest()).rejects.toThrow(/status 403: .*cannot get resource/);
  const rights = [{ apiGroups: [''], resources: ['namespaces'], verbs: ['get'] }];
  await allow(kubernetes, `system:serviceaccount:${namespace}:${account}`, rights);
  const found = await eventually('the rights are there', attest);
  expect(found).toEqual([
    ...podSelectors,
    ...containerSelectors,
    'k8s:ns-label:kubernetes.io/metadata.name:production',
    'k8s:ns-label:team:web',
  ]);
});
