// The controllers of a real Kubernetes, for tests that rely on what they do: default service accounts, the cluster's CA in every namespace, deployments that
// make pods, and the collection of what belongs to something that is gone. Not those that look after nodes: no kubelet ever reports here.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Kubernetes } from './kubernetes.ts';
import { start } from './processes.ts';
import type { Program } from './processes.ts';
import { prepareKubeControllerManager } from './programs.ts';

const ofNodes = [
  'node-lifecycle-controller',
  'node-ipam-controller',
  'pod-garbage-collector-controller',
  'taint-eviction-controller',
];

/** Stop it before the API server. */
export async function startControllers(
  kubernetes: Kubernetes,
  options: { readonly directory: string },
): Promise<Program> {
  const command = await prepareKubeControllerManager();
  const directory = join(options.directory, 'controllers');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const flags = [
    `--kubeconfig=${kubernetes.administrator.kubeconfig}`,
    `--service-account-private-key-file=${kubernetes.accountKeyPath}`,
    `--root-ca-file=${kubernetes.caPath}`,
    `--controllers=*,${ofNodes.map((name) => `-${name}`).join(',')}`,
    '--leader-elect=false',
    // Nobody asks them anything.
    '--secure-port=0',
  ];
  const logPath = join(directory, 'kube-controller-manager.log');
  return start(command, flags, { logPath, stopTimeoutMs: 30_000 });
}
