// Everything of a cluster's servers: the bases as `deploy/kubernetes/basic` has them, below the upstream. Each pod has an agent of the upstream beside the
// server, known by a certificate of its own, and each server a Service of its own: a change of trust asks every one of them.
import { parseAddress } from '../clients/spire-server.ts';
import type { ClusterPlan } from '../plan.ts';
import { serverPort } from '../plan.ts';
import { configMap, renderBases } from './bases.ts';
import type { BaseObject } from './bases.ts';
import type { PlaceClusterServer } from './cluster.ts';
import { serverNamespace } from './cluster.ts';
import {
  clusterServerConfig,
  nodeKeys,
  upstreamAgentConfig,
  upstreamAgentConfigText,
  upstreamAgentPort,
  upstreamSockets,
} from './configurations.ts';
import { withPods, withStorageClass } from './pod-template.ts';
import type { Container, PodSpec } from './pod-template.ts';

export const nodeKeysSecret = 'spire-server-nodes';
export const databaseSecret = 'spire-database';
export const serverConfig = 'spire-server-config';
const agentConfig = 'spire-upstream-agent-config';
const serverLabel = { 'app.kubernetes.io/name': 'spire-server' };

export function serverObjects(input: PlaceClusterServer): BaseObject[] {
  const { plan, cluster, upstream } = input;
  const server = { 'server.conf': clusterServerConfig(plan, cluster, upstream.address) };
  const agent = { 'agent.conf': upstreamAgentConfigText(plan, upstream.address), 'bundle.crt': upstream.bundlePem };
  const objects = renderBases({
    bases: ['server', 'postgres', 'default-deny'],
    prefix: 'spire-',
    namespace: serverNamespace,
    configMaps: ['server-config'],
  });
  return [
    configMap(serverNamespace, serverConfig, server),
    configMap(serverNamespace, agentConfig, agent),
    upstreamPolicy(parseAddress(upstream.address).port),
    ...cluster.servers.map((name) => ownService(name, cluster)),
    ...objects
      .map((object) => withStorageClass(object, cluster.storageClass))
      .map((object) =>
        object.kind === 'StatefulSet' && object.metadata.name === 'spire-server'
          ? serverSet(object, input, JSON.stringify([server, agent]))
          : object,
      ),
  ];
}

function serverSet(object: BaseObject, { cluster }: PlaceClusterServer, configuration: string): BaseObject {
  const pods = withPods(object, (pod) => beside(pod, cluster.image), configuration);
  return { ...pods, spec: { ...pods.spec, replicas: cluster.servers.length } };
}

/** The server, and the agent that attests it: by its user, as nobody else comes to that socket. */
function beside(pod: PodSpec, image: string): PodSpec {
  const [server, ...others] = pod.containers;
  if (server === undefined) throw new Error('the base of a server has no container');
  const sockets = { name: 'upstream-sockets', mountPath: upstreamSockets };
  return {
    ...pod,
    // Callers are known by their process ids, which must be the agent's own.
    shareProcessNamespace: true,
    containers: [
      {
        ...server,
        image,
        volumeMounts: [...(server.volumeMounts ?? []), { ...sockets, readOnly: true }],
      },
      ...others,
      upstreamAgent(server, image, sockets),
    ],
    volumes: [
      ...(pod.volumes ?? []),
      { name: 'upstream-agent', configMap: { name: agentConfig } },
      { name: 'node', secret: { secretName: nodeKeysSecret, defaultMode: 0o440 } },
      { name: 'upstream-sockets', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
    ],
  };
}

function upstreamAgent(server: Container, image: string, sockets: Readonly<Record<string, unknown>>): Container {
  const probe = (path: string) => ({ httpGet: { path, port: upstreamAgentPort } });
  return {
    name: 'upstream-agent',
    image,
    command: ['/opt/espalier/bin/spire-agent'],
    args: ['run', '-expandEnv', '-config', `${upstreamAgentConfig}/agent.conf`],
    env: [
      { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      { name: 'NODE_COMPILE_CACHE', value: '/tmp/compile-cache' },
    ],
    startupProbe: { ...probe('/live'), periodSeconds: 5, failureThreshold: 60 },
    livenessProbe: { ...probe('/live'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 },
    // A server that has its CA goes on without its upstream, and so does its pod.
    readinessProbe: { ...probe('/live'), periodSeconds: 5, timeoutSeconds: 5 },
    resources: { requests: { cpu: '50m', memory: '96Mi' }, limits: { cpu: '250m', memory: '256Mi' } },
    securityContext: server['securityContext'],
    volumeMounts: [
      { name: 'upstream-agent', mountPath: upstreamAgentConfig, readOnly: true },
      { name: 'node', mountPath: nodeKeys, readOnly: true },
      sockets,
      { name: 'data', mountPath: '/var/lib/spire/server' },
      { name: 'tmp', mountPath: '/tmp' },
    ],
  };
}

/** The StatefulSet's controller gives every pod a label with its name. */
function ownService(name: string, { expose }: ClusterPlan): BaseObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: serverNamespace, labels: serverLabel },
    spec: {
      type: expose,
      selector: { ...serverLabel, 'statefulset.kubernetes.io/pod-name': name },
      ports: [{ name: 'grpc', port: serverPort, protocol: 'TCP', targetPort: 'grpc' }],
    },
  };
}

/** Where the upstream is, is its cloud's to say: whoever answers there is judged by TLS. */
function upstreamPolicy(port: number): BaseObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'spire-server-to-upstream', namespace: serverNamespace },
    spec: {
      podSelector: { matchLabels: serverLabel },
      policyTypes: ['Egress'],
      egress: [{ ports: [{ port, protocol: 'TCP' }] }],
    },
  };
}
