// What every pod of deploy/ is held to, on whatever objects: what a reviewer of a cluster's security would ask first. Whoever may have more stands here by name.
export interface Container {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly resources?: {
    readonly requests?: Readonly<Record<string, string>>;
    readonly limits?: Readonly<Record<string, string>>;
  };
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
  readonly startupProbe?: object;
  readonly livenessProbe?: object;
  readonly readinessProbe?: object;
}

export interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly hostNetwork?: boolean;
  readonly hostPID?: boolean;
  readonly hostIPC?: boolean;
  readonly automountServiceAccountToken?: boolean;
  readonly serviceAccountName?: string;
  readonly priorityClassName?: string;
  readonly dnsPolicy?: string;
  readonly securityContext?: {
    readonly runAsNonRoot?: boolean;
    readonly runAsUser?: number;
    readonly fsGroup?: number;
    readonly fsGroupChangePolicy?: string;
    readonly seccompProfile?: { readonly type: string };
  };
  readonly volumes?: readonly { readonly name: string; readonly hostPath?: { readonly path: string } }[];
}

/** By the name of the container that needs it, each with what it is needed for. */
const allowed = {
  // The host's process ids, which callers are known by; the kubelet on the node's loopback; directories that are root's.
  host: ['spire-agent'],
  root: ['spire-agent', 'spiffe-csi-driver', 'node-driver-registrar'],
  // Mounts that the kubelet is to see.
  privileged: ['spiffe-csi-driver'],
  // The API server about tokens; the kubelet about pods.
  token: ['spire-server', 'spire-agent'],
  // The driver is probed through its registrar; neither is asked for anything but by the kubelet.
  withoutLiveness: ['spiffe-csi-driver'],
  // A pod is ready when its server is, whoever registers beside it.
  withoutReadiness: ['spiffe-csi-driver', 'node-driver-registrar', 'registration'],
} as const;

const hostPaths = new Map<string, readonly string[]>([
  ['/run/spire/sockets', ['spire-agent', 'spiffe-csi-driver', 'workload']],
  ['/run/spire/upstream-sockets', ['spire-agent', 'spire-server']],
  ['/var/lib/spire/agent', ['spire-agent']],
  ['/var/lib/spire/upstream-agent', ['spire-agent']],
  ['/var/lib/kubelet/plugins/csi.spiffe.io', ['spiffe-csi-driver']],
  ['/var/lib/kubelet/pods', ['spiffe-csi-driver']],
  ['/var/lib/kubelet/plugins_registry', ['spiffe-csi-driver']],
]);

const secretName = /password|token|secret|private|_key$/i;
const ours = ['spire-server', 'spire-agent', 'postgres', 'spiffe-csi-driver', 'node-driver-registrar'];

/** Faults, each with the container it is about. */
export function podFaults(pod: PodSpec): string[] {
  const all = [...(pod.initContainers ?? []), ...pod.containers];
  const first = pod.containers[0]?.name ?? '';
  const may = (names: readonly string[]): boolean => names.includes(first);
  const faults = all.flatMap(containerFaults);
  const fault = (broken: boolean, message: string) => {
    if (broken) faults.push(`${first}: ${message}`);
  };
  fault(pod.hostIPC === true, 'has the host’s IPC');
  fault(
    (pod.hostNetwork === true || pod.hostPID === true) && !may(allowed.host),
    'has the host’s network or processes',
  );
  fault(
    pod.automountServiceAccountToken !== may(allowed.token),
    'has a token of the API server, or lacks the one it needs',
  );
  fault(pod.securityContext?.seccompProfile?.type !== 'RuntimeDefault', 'has no seccomp profile');
  fault(pod.securityContext?.runAsNonRoot !== true && !may(allowed.root), 'may run as root');
  const { fsGroup, fsGroupChangePolicy } = pod.securityContext ?? {};
  fault(fsGroup !== undefined && fsGroupChangePolicy !== 'OnRootMismatch', 'opens its files to a group at every mount');
  for (const { hostPath } of pod.volumes ?? []) {
    if (hostPath === undefined) continue;
    const who = ours.includes(first) ? first : 'workload';
    fault(hostPaths.get(hostPath.path)?.includes(who) !== true, `has ${hostPath.path} of the host`);
  }
  return faults;
}

function containerFaults(container: Container): string[] {
  const { name, image, resources, securityContext: security } = container;
  const may = (names: readonly string[]): boolean => names.includes(name);
  const faults: string[] = [];
  const fault = (broken: boolean, message: string) => {
    if (broken) faults.push(`${name}: ${message}`);
  };
  for (const kind of ['requests', 'limits'] as const)
    for (const what of ['cpu', 'memory']) fault(resources?.[kind]?.[what] === undefined, `has no ${kind} of ${what}`);
  fault(security?.readOnlyRootFilesystem !== true, 'can write its root file system');
  fault(security?.capabilities?.drop?.includes('ALL') !== true, 'keeps capabilities');
  fault((security?.capabilities?.add ?? []).length > 0, 'has capabilities added');
  if (may(allowed.privileged)) fault(security?.privileged !== true, 'is not privileged, as its mounts need');
  if (!may(allowed.privileged)) {
    fault(security?.privileged === true, 'is privileged');
    fault(security?.allowPrivilegeEscalation !== false, 'may escalate');
  }
  fault(container.livenessProbe === undefined && !may(allowed.withoutLiveness), 'has no liveness probe');
  fault(container.readinessProbe === undefined && !may(allowed.withoutReadiness), 'has no readiness probe');
  fault(!/^[^@]+:(?!latest$)[^:/]+$/.test(image), `has image ${image} without a version`);
  for (const { name: variable, value } of container.env ?? [])
    fault(value !== undefined && secretName.test(variable), `has ${variable} as plain text`);
  return faults;
}
