// Workloads in pods of a cluster with nodes: the demonstration workload, which serves, and what is asked from within its pod – by go-spiffe, and by our own library.
import { chmodSync, copyFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Called } from './go-mtls.ts';
import type { Nodes } from './kubernetes-nodes/nodes.ts';
import { isReady } from './kubernetes-nodes/objects.ts';
import type { Pod } from './kubernetes-nodes/objects.ts';
import type { Kubernetes } from './kubernetes.ts';
import { eventually } from './processes.ts';
import { prepareGoWorkload } from './programs.ts';

export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export interface WorkloadPod extends PodName {
  readonly labels?: Readonly<Record<string, string>>;
  /** SPIFFE IDs that its port 8443 admits. */
  readonly peers: readonly string[];
}

/** As the account of the pod's own name; resolves when the pod has an identity and serves. The namespace is there. */
export async function runWorkloadPod(
  { kubernetes, nodes }: { readonly kubernetes: Kubernetes; readonly nodes: Nodes },
  pod: WorkloadPod,
  patienceMs: number,
): Promise<Pod> {
  const within = `/api/v1/namespaces/${pod.namespace}`;
  await kubernetes.administrator.call('POST', `${within}/serviceaccounts`, { metadata: { name: pod.name } });
  await kubernetes.administrator.call('POST', `${within}/pods`, workloadPod(pod));
  return eventually(
    `the pod ${pod.namespace}/${pod.name} is ready`,
    async () => {
      const found = await kubernetes.administrator.call<Pod>('GET', `${within}/pods/${pod.name}`);
      if (!isReady(found.status)) throw new Error(`${JSON.stringify(found.status)}\n${nodes.containerLogs()}`);
      return found;
    },
    patienceMs,
  );
}

/** go-spiffe in that pod's container, with the identity that the pod has. The pod's volume `tmp` is at /tmp. */
export async function callFromPod(
  nodes: Nodes,
  { namespace, name, container = name }: PodName & { readonly container?: string },
  address: string,
  expectedId: string,
): Promise<Called> {
  const program = join(nodes.volumeDirectory(namespace, name, 'tmp'), 'go-workload');
  copyFileSync(await prepareGoWorkload(), program);
  chmodSync(program, 0o755);
  const ended = await nodes.exec(namespace, name, container, ['/tmp/go-workload', 'call', address, expectedId]);
  if (ended.code !== 0) throw new Error(ended.stderr);
  return JSON.parse(ended.stdout) as Called;
}

export interface Met {
  readonly id: string;
  /** Who called, as the one who was called has it. */
  readonly caller: string;
}

/** What a demonstration workload says of itself and of its caller, over mutual TLS. */
export async function whoAmI(nodes: Nodes, pod: PodName, address: string, expectedId: string): Promise<Met> {
  const program = [
    '/opt/espalier/node/bin/node',
    '--input-type=module',
    '--eval',
    asking(new URL(`tcp://${address}`), expectedId),
  ];
  const ended = await nodes.exec(pod.namespace, pod.name, pod.name, program);
  if (ended.code !== 0) throw new Error(ended.stderr);
  return JSON.parse(ended.stdout) as Met;
}

/** A program for a pod that has our runtime. */
function asking({ hostname, port }: URL, expectedId: string): string {
  const runtime = '/opt/espalier/runtime';
  return `
import { createWorkloadApi } from '${runtime}/workloadapi/workload-api.ts';
import { createX509Source } from '${runtime}/workloadapi/x509-source.ts';
import { connectMtls } from '${runtime}/workloadapi/mtls.ts';
import { getJson } from '${runtime}/demo/mtls-http.ts';
const api = createWorkloadApi({ socketPath: '/run/spire/sockets/agent.sock' });
const source = await createX509Source({ api });
const authorize = (id) => id.toString() === '${expectedId}';
const { socket } = await connectMtls({ host: '${hostname}', port: ${port}, source, authorize, timeoutMs: 10_000 });
console.log(JSON.stringify(await getJson(socket, '/identity')));
process.exit(0);
`;
}

function workloadPod({ name, labels = {}, peers }: WorkloadPod): object {
  const restricted = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
  return {
    metadata: { name, labels },
    spec: {
      serviceAccountName: name,
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 5,
      securityContext: { runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532 },
      containers: [
        {
          name,
          image: 'espalier-runtime:0.1.0',
          command: ['/opt/espalier/node/bin/node', '/opt/espalier/runtime/demo/workload.ts'],
          env: [
            { name: 'SPIFFE_ENDPOINT_SOCKET', value: 'unix:///run/spire/sockets/agent.sock' },
            { name: 'WORKLOAD_LISTEN', value: '0.0.0.0:8443' },
            { name: 'WORKLOAD_CONTROL', value: '127.0.0.1:8444' },
            { name: 'WORKLOAD_PEERS', value: peers.join(',') },
          ],
          readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 2 },
          resources: { limits: { cpu: '500m', memory: '192Mi' } },
          securityContext: restricted,
          volumeMounts: [
            { name: 'workload-api', mountPath: '/run/spire/sockets', readOnly: true },
            { name: 'tmp', mountPath: '/tmp' },
          ],
        },
      ],
      volumes: [
        { name: 'workload-api', hostPath: { path: '/run/spire/sockets', type: 'Directory' } },
        { name: 'tmp', emptyDir: {} },
      ],
    },
  };
}
