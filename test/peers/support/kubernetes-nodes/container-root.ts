// A root file system put together of bind mounts, as a script for a shell that is alone in its mount namespace: nothing of the machine's own root is left there but
// its programs and libraries, only to be read.
export interface Mount {
  readonly source: string;
  readonly path: string;
  readonly isReadOnly: boolean;
}

export interface RootOptions {
  /** An empty directory. */
  readonly root: string;
  /** The later over the earlier. */
  readonly mounts: readonly Mount[];
  readonly isReadOnly: boolean;
  readonly hostName: string | undefined;
  /** Where its command begins. */
  readonly directory: string;
}

const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
const systemDirectories = ['/usr', '/bin', '/sbin', '/lib', '/lib64'];

/** It becomes the command that follows it. */
export function rootScript({ root, mounts, isReadOnly, hostName, directory }: RootOptions): string {
  return `
set -eu
root=${quoted(root)}
mount -t tmpfs -o mode=755 root "$root"
${systemDirectories.map(systemDirectory).join('\n')}
mkdir -p "$root/etc" "$root/proc" "$root/dev/shm" "$root/tmp" "$root/var/tmp"
chmod 1777 "$root/tmp" "$root/var/tmp"
printf '%s\\n' 'root:x:0:0:root:/:/bin/sh' 'postgres:x:999:999:postgres:/:/bin/sh' >"$root/etc/passwd"
printf '%s\\n' 'root:x:0:' 'postgres:x:999:' >"$root/etc/group"
echo 'hosts: files' >"$root/etc/nsswitch.conf"
: >"$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
${devices.map((name) => bind({ source: `/dev/${name}`, path: `/dev/${name}`, isReadOnly: false })).join('\n')}
ln -s /proc/self/fd "$root/dev/fd"
${mounts.map(bind).join('\n')}
${isReadOnly ? 'mount -o remount,bind,ro "$root"' : ''}
${hostName === undefined ? '' : `echo ${quoted(hostName)} >/proc/sys/kernel/hostname`}
cd "$root"
PATH="$PATH:/usr/sbin:/sbin" pivot_root . .
umount -l .
cd ${quoted(directory)}
exec "$@"
`;
}

/** As this machine has it: a link into /usr, or a directory. */
function systemDirectory(path: string): string {
  return `if [ -L ${path} ]; then cp -P ${path} "$root${path}"; elif [ -d ${path} ]; then ${bind({ source: path, path, isReadOnly: true })}; fi`;
}

function bind({ source, path, isReadOnly }: Mount): string {
  const [from, to] = [quoted(source), `"$root"${quoted(path)}`];
  const made = `if [ -d ${from} ]; then mkdir -p ${to}; else mkdir -p "$(dirname ${to})"; [ -e ${to} ] || : >${to}; fi`;
  const readOnly = isReadOnly ? `; mount -o remount,bind,ro ${to}` : '';
  return `${made}; mount --bind ${from} ${to}${readOnly}`;
}

/** For the shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
