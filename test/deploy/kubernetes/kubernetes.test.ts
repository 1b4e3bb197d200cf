// The objects of deploy/kubernetes as they are written: what every pod is held to, and that our programs take their configuration. What kustomize and Helm
// make of them, and what an API server says, is with the peers.
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deploymentFaults, podsOf, readObjects } from './objects.ts';
import type { KubernetesObject } from './objects.ts';
import { podFaults } from './pod-rules.ts';
import type { Container, PodSpec } from './pod-rules.ts';

const root = join(import.meta.dirname, '../../..');
const files = readdirSync(join(root, 'deploy/kubernetes'), { recursive: true, encoding: 'utf8' });
const read = (name: string): string => readFileSync(join(root, 'deploy/kubernetes', name), 'utf8');
const written = files
  .filter((name) => name.startsWith('bases/') && name.endsWith('.yaml') && !name.endsWith('kustomization.yaml'))
  .flatMap((name) => readObjects(read(name)));
const pods = podsOf(written);
const podOf = (name: string): PodSpec => {
  const found = pods.find((pod) => pod.name === name);
  if (found === undefined) throw new Error(`no ${name}`);
  return found.spec;
};

describe('a pod', () => {
  it.each(pods.map(({ name, spec }) => [name, spec] as const))('of %s keeps to the rules', (_name, spec) => {
    expect(podFaults(spec)).toEqual([]);
  });

  it('is there for each program', () => {
    expect(pods.map(({ name }) => name).sort()).toEqual([
      'DaemonSet agent',
      'DaemonSet spire-csi-driver',
      'Deployment workload',
      'StatefulSet db',
      'StatefulSet server',
    ]);
  });

  const server = podOf('StatefulSet server');
  const [container] = server.containers;
  const withContainer = (change: Partial<Container>): PodSpec => ({
    ...server,
    containers: [{ ...container!, ...change }],
  });
  const security = container!.securityContext!;
  it.each<[string, PodSpec]>([
    ['has no limits of memory', withContainer({ resources: { ...container!.resources, limits: { cpu: '1' } } })],
    ['has no requests of cpu', withContainer({ resources: { ...container!.resources, requests: { memory: '1Mi' } } })],
    [
      'can write its root file system',
      withContainer({ securityContext: { ...security, readOnlyRootFilesystem: false } }),
    ],
    ['keeps capabilities', withContainer({ securityContext: { ...security, capabilities: {} } })],
    [
      'has capabilities added',
      withContainer({ securityContext: { ...security, capabilities: { drop: ['ALL'], add: ['SYS_PTRACE'] } } }),
    ],
    ['is privileged', withContainer({ securityContext: { ...security, privileged: true } })],
    ['may escalate', withContainer({ securityContext: { ...security, allowPrivilegeEscalation: true } })],
    ['has image espalier-runtime:latest without a version', withContainer({ image: 'espalier-runtime:latest' })],
    ['has image espalier-runtime without a version', withContainer({ image: 'espalier-runtime' })],
    ['has DATABASE_PASSWORD as plain text', withContainer({ env: [{ name: 'DATABASE_PASSWORD', value: 'spire' }] })],
    ['may run as root', { ...server, securityContext: { seccompProfile: { type: 'RuntimeDefault' } } }],
    ['has no seccomp profile', { ...server, securityContext: { runAsNonRoot: true } }],
    [
      'opens its files to a group at every mount',
      { ...server, securityContext: { ...server.securityContext!, fsGroupChangePolicy: 'Always' } },
    ],
    ['has the host’s network or processes', { ...server, hostPID: true }],
    ['has the host’s IPC', { ...server, hostIPC: true }],
    ['has a token of the API server, or lacks the one it needs', { ...server, automountServiceAccountToken: false }],
    ['has /etc of the host', { ...server, volumes: [{ name: 'etc', hostPath: { path: '/etc' } }] }],
  ])('that %s is found', (message, spec) => {
    expect(podFaults(spec)).toEqual([`spire-server: ${message}`]);
  });

  it('without probes is found', () => {
    const { name, image, resources, securityContext } = container!;
    const unprobed: Container = { name, image, resources: resources!, securityContext: securityContext! };
    expect(podFaults({ ...server, containers: [unprobed] })).toEqual([
      'spire-server: has no liveness probe',
      'spire-server: has no readiness probe',
    ]);
  });
});

describe('the agent', () => {
  const agent = podOf('DaemonSet agent');

  it('has what the seeds give it, and no more', () => {
    expect(agent).toMatchObject({
      hostNetwork: true,
      hostPID: true,
      dnsPolicy: 'ClusterFirstWithHostNet',
      priorityClassName: 'system-node-critical',
      containers: [
        {
          resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '500m', memory: '512Mi' } },
          securityContext: { capabilities: { drop: ['ALL'] } },
        },
      ],
    });
    expect(agent.volumes).toContainEqual({
      name: 'token',
      projected: {
        sources: [{ serviceAccountToken: { path: 'spire-agent', audience: 'spire-server', expirationSeconds: 7200 } }],
      },
    });
    expect(agent.volumes).toContainEqual({
      name: 'sockets',
      hostPath: { path: '/run/spire/sockets', type: 'DirectoryOrCreate' },
    });
  });
});

describe('a deployment', () => {
  const namespace: KubernetesObject = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'somewhere' } };
  const put = (object: KubernetesObject): KubernetesObject => ({
    ...object,
    metadata: { ...object.metadata, namespace: 'somewhere' },
  });
  const named = (kind: string, name: string): KubernetesObject =>
    put(written.find((object) => object.kind === kind && object.metadata.name === name)!);
  const whole = [
    namespace,
    named('NetworkPolicy', 'default-deny'),
    named('StatefulSet', 'server'),
    named('PodDisruptionBudget', 'server'),
  ];

  it('that is whole has no faults', () => {
    expect(deploymentFaults(whole)).toEqual([]);
  });

  it.each<[string, readonly KubernetesObject[]]>([
    ['namespace somewhere denies nothing by default', whole.filter(({ kind }) => kind !== 'NetworkPolicy')],
    [
      'namespace somewhere denies nothing by default',
      [...whole.filter(({ kind }) => kind !== 'NetworkPolicy'), named('NetworkPolicy', 'dns-resolution')],
    ],
    ['StatefulSet server has no PodDisruptionBudget', whole.filter(({ kind }) => kind !== 'PodDisruptionBudget')],
    [
      'Secret spire-database is made here',
      [...whole, put({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'spire-database' } })],
    ],
  ])('with this fault is found: %s', (message, objects) => {
    expect(deploymentFaults(objects)).toEqual([message]);
  });
});

describe('a configuration', () => {
  const validate = (name: string) => {
    const program = name.endsWith('server.conf') ? 'spire-server' : 'spire-agent';
    const path = join(root, 'deploy/kubernetes', name);
    const env = { ...process.env, DATABASE_PASSWORD: 'x', METRICS_HOST: '127.0.0.1' };
    return spawnSync(join(root, 'bin', program), ['validate', '-expandEnv', '-config', path], {
      encoding: 'utf8',
      env,
    });
  };
  const configurations = files.filter((name) => name.endsWith('.conf')).sort();

  it('is there for each server and each agent', () => {
    expect(configurations).toEqual([
      'basic/agent/agent.conf',
      'basic/server/server.conf',
      'crd-free/agent/agent.conf',
      'enterprise-federated/downstream/agent/agent.conf',
      'enterprise-federated/downstream/server/server.conf',
      'enterprise-federated/upstream/server/server.conf',
      'enterprise-nested/downstream/agent/agent.conf',
      'enterprise-nested/downstream/server/server.conf',
      'enterprise-nested/downstream/upstream-agent/agent.conf',
      'enterprise-nested/upstream/server/server.conf',
    ]);
  });

  it.each(files.filter((name) => name.endsWith('/registration.yaml')))('%s is taken by registration', (name) => {
    const words = ['registration', '--check-config', '--config', join(root, 'deploy/kubernetes', name)];
    const { status, stderr } = spawnSync(join(root, 'bin/espalier'), words, { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it.each(configurations)('%s is taken without a word of warning', (name) => {
    const { status, stdout, stderr } = validate(name);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('configuration file is valid');
  });
});
