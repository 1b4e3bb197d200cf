// Who a container's processes are, and what they may: as words before its command, which util-linux's setpriv acts upon.
import { NotYet } from './environment.ts';
import type { Image } from './images.ts';
import type { ContainerSpec, Pod } from './objects.ts';

/** What containerd lets a container have that asks for nothing. */
const usual = ['chown', 'dac_override', 'fowner', 'fsetid', 'kill', 'setgid', 'setuid', 'setpcap', 'net_bind_service', 'net_raw', 'sys_chroot', 'mknod', 'audit_write', 'setfcap']; // prettier-ignore

export function privilegesOf({ spec: podSpec }: Pod, { name, securityContext }: ContainerSpec, image: Image): string[] {
  const ofPod = podSpec.securityContext ?? {};
  const own = securityContext ?? {};
  const user = own.runAsUser ?? ofPod.runAsUser ?? image.user;
  const group = own.runAsGroup ?? ofPod.runAsGroup ?? image.group;
  if ((own.runAsNonRoot ?? ofPod.runAsNonRoot) === true && user === 0)
    throw new NotYet('CreateContainerConfigError', `container ${name} has runAsNonRoot and image will run as root`);
  const groups = [...(ofPod.fsGroup === undefined ? [] : [ofPod.fsGroup]), ...(ofPod.supplementalGroups ?? [])];
  return [
    ...['setpriv', `--reuid=${user}`, `--regid=${group}`],
    groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`,
    ...(own.privileged === true ? [] : [`--bounding-set=${capabilities(own)}`, '--inh-caps=-all']),
    ...(own.allowPrivilegeEscalation === false ? ['--no-new-privs'] : []),
    '--',
  ];
}

function capabilities({ capabilities: { add = [], drop = [] } = {} }: NonNullable<ContainerSpec['securityContext']>) {
  const plain = (name: string): string => name.toLowerCase().replace(/^cap_/, '');
  const dropped = drop.map(plain);
  const kept = dropped.includes('all') ? [] : usual.filter((name) => !dropped.includes(name));
  return ['-all', ...[...kept, ...add.map(plain)].map((name) => `+${name}`)].join(',');
}
