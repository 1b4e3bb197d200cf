// The programs that we did not write, made ready at first use: a virtual environment of Python, and what Go builds. All of it lies under .espalier/peers.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram } from '../../../lab/instance/network-programs.ts';
import { exclusively } from './exclusively.ts';
import { output, run } from './processes.ts';

const peers = fileURLToPath(new URL('..', import.meta.url));
export const root = join(peers, '../..');
export const built = join(root, '.espalier/peers');
const buildTimeoutMs = 30 * 60_000;

/** The bin directory of a Python that has what python/requirements.txt names. */
export async function preparePython(): Promise<string> {
  const requirements = join(peers, 'python/requirements.txt');
  const environment = join(built, 'python');
  const installed = join(environment, 'installed.txt');
  const bin = join(environment, 'bin');
  const wanted = readFileSync(requirements, 'utf8');
  const isInstalled = () => existsSync(installed) && readFileSync(installed, 'utf8') === wanted;
  await made('python', isInstalled, `installing ${requirements}`, async () => {
    if (!existsSync(join(bin, 'pip')))
      await output('python3', ['-m', 'venv', environment], { timeoutMs: buildTimeoutMs });
    const pip = ['install', '--quiet', '--disable-pip-version-check', '--requirement', requirements];
    await output(join(bin, 'pip'), pip, { timeoutMs: buildTimeoutMs });
    writeFileSync(installed, wanted);
  });
  return bin;
}

export const pythonScript = (name: string): string => join(peers, 'python', name);

/** Our Go workload on go-spiffe. */
export function prepareGoWorkload(): Promise<string> {
  return buildGo('go', 'espalier/test/peers/go/workload', 'go-workload');
}

/** go-spiffe as a judge of chains. */
export function prepareGoVerifier(): Promise<string> {
  return buildGo('go', 'espalier/test/peers/go/verify', 'go-verify');
}

/** go-spiffe's federation package, at both ends. */
export function prepareGoFederation(): Promise<string> {
  return buildGo('go', 'espalier/test/peers/go/federation', 'go-federation');
}

/** What an Envoy does with secret discovery, on Envoy's own types. */
export function prepareGoEnvoy(): Promise<string> {
  return buildGo('go', 'espalier/test/peers/go/envoy', 'go-envoy');
}

/** Our Go administrator on SPIRE's own API. */
export function prepareGoAdmin(): Promise<string> {
  return buildGo('go', 'espalier/test/peers/go/admin', 'go-admin');
}

/** Our Go delegate on SPIRE's own API. */
export function prepareGoDelegate(): Promise<string> {
  return buildGo('go', 'espalier/test/peers/go/delegate', 'go-delegate');
}

/** SPIRE's own agent. */
export function prepareSpireAgent(): Promise<string> {
  return buildGo('go-tools', 'github.com/spiffe/spire/cmd/spire-agent', 'spire-agent');
}

/** SPIRE's own server, but for its upstream authority "ejbca": see go-tools/ejbca-stand-in. */
export function prepareSpireServer(): Promise<string> {
  return buildGo('go-tools', 'github.com/spiffe/spire/cmd/spire-server', 'spire-server');
}

/** Debian's Prometheus, its tool for rules, and its Alertmanager. */
export async function preparePrometheus(): Promise<
  Readonly<Record<'prometheus' | 'promtool' | 'alertmanager', string>>
> {
  const programs = {
    prometheus: debianFile('usr/bin/prometheus'),
    promtool: debianFile('usr/bin/promtool'),
    alertmanager: debianFile('usr/bin/prometheus-alertmanager'),
  };
  await unpackDebian(['prometheus', 'prometheus-alertmanager'], Object.values(programs));
  if (!existsSync(alertmanagerTemplates))
    cpSync(debianFile(alertmanagerTemplates), alertmanagerTemplates, { recursive: true });
  return programs;
}

/** Debian's Alertmanager reads them at this place and no other; without root it must be installed. */
const alertmanagerTemplates = '/usr/share/prometheus/alertmanager';

/** Debian's systemd as a judge of units, with what it must be started with: it runs nothing, and the machine may be run by something else. */
export async function prepareSystemdAnalyze(): Promise<{ command: string; env: Readonly<Record<string, string>> }> {
  const command = debianFile('usr/bin/systemd-analyze');
  await unpackDebian(['systemd', 'libsystemd-shared', 'libkmod2', 'libapparmor1', 'libip4tc2'], [command]);
  const libraries = ['lib', 'usr/lib']
    .map(debianFile)
    .filter(existsSync)
    .flatMap((directory) => readdirSync(directory).map((triplet) => join(directory, triplet)))
    .flatMap((directory) => [directory, join(directory, 'systemd')]);
  return { command, env: { LD_LIBRARY_PATH: libraries.join(':') } };
}

/** Debian's etcd, which Kubernetes keeps its objects in. */
export async function prepareEtcd(): Promise<string> {
  const program = debianFile('usr/bin/etcd');
  await unpackDebian(['etcd-server'], [program]);
  return program;
}

/**
 * The kernel's firewall by Debian's nft, on this process's PATH from now on: with the libraries that come with it where the machine has none of its own.
 */
export async function prepareNft(): Promise<void> {
  if (findProgram('nft') !== undefined) return;
  const bin = join(built, 'nft');
  const program = debianFile('usr/sbin/nft');
  await unpackDebian(nftPackages, [program]);
  const libraries = debianFile(`usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`);
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'nft'), `#!/bin/sh\nLD_LIBRARY_PATH='${libraries}' exec '${program}' "$@"\n`);
  chmodSync(join(bin, 'nft'), 0o755);
  process.env['PATH'] = `${process.env['PATH'] ?? ''}:${bin}`;
  await output('nft', ['--version']);
}

const nftPackages = ['nftables', ...['libnftables1', 'libnftnl11', 'libmnl0', 'libjansson4', 'libedit2', 'libbsd0', 'libmd0', 'libgmp10', 'libxtables12']]; // prettier-ignore

export const prepareKubeApiserver = (): Promise<string> => buildKubernetes('kube-apiserver');
export const prepareKubeControllerManager = (): Promise<string> => buildKubernetes('kube-controller-manager');

/** Helm; a chart is told which Kubernetes it is rendered for by `--kube-version`. */
export function prepareHelm(): Promise<string> {
  return buildGo('helm-tools', 'helm.sh/helm/v3/cmd/helm', 'helm');
}

/** Told its version as its own build tells it, for clients go by that. */
function buildKubernetes(name: string): Promise<string> {
  const module = 'kubernetes-tools';
  const manifest = readFileSync(join(peers, module, 'go.mod'), 'utf8');
  const version = /k8s\.io\/kubernetes v(\d+)\.(\d+)\.(\d+)\b/.exec(manifest);
  if (version === null) throw new Error(`${module}/go.mod does not name a version of k8s.io/kubernetes`);
  const [, major = '', minor = '', patch = ''] = version;
  const said = { gitVersion: `v${major}.${minor}.${patch}`, gitMajor: major, gitMinor: minor };
  const flags = Object.entries(said).map(
    ([variable, value]) => `-X k8s.io/component-base/version.${variable}=${value}`,
  );
  return buildGo(module, `k8s.io/kubernetes/cmd/${name}`, name, flags);
}

/** Go's own cache decides what is to be built again, but for the version in go.mod: a big program is linked once. */
async function buildGo(
  module: string,
  source: string,
  name: string,
  linkerFlags: readonly string[] = [],
): Promise<string> {
  const directory = join(peers, module);
  const program = join(built, 'bin', name);
  const ours = module === 'go';
  const isBuilt = () =>
    !ours && existsSync(program) && statSync(program).mtimeMs > statSync(join(directory, 'go.sum')).mtimeMs;
  await made(name, isBuilt, ours ? undefined : `building ${source}`, async () => {
    await checkGo();
    mkdirSync(dirname(program), { recursive: true });
    // Under another name until it is whole; at low priority and two packages at a time, because it takes minutes.
    const unfinished = `${program}.new`;
    const flags = ['-trimpath', '-buildvcs=false', '-p=2', `-ldflags=${['-s', '-w', ...linkerFlags].join(' ')}`];
    const build = ['-n', '10', 'go', 'build', ...flags, '-o', unfinished, source];
    await output('nice', build, { cwd: directory, timeoutMs: buildTimeoutMs, env: { GOTOOLCHAIN: 'auto' } });
    renameSync(unfinished, program);
  });
  return program;
}

async function checkGo(): Promise<void> {
  const found = await run('go', ['version']).catch(() => undefined);
  if (found?.code !== 0)
    throw new Error('the peer tests build programs in Go: install Go 1.26 or later (https://go.dev/dl)');
}

const debianFile = (path: string): string => join(built, 'debian', path);

/** Unpacked beside each other, never installed, unless what is wanted of them is there. */
async function unpackDebian(packages: readonly string[], wanted: readonly string[]): Promise<void> {
  const directory = join(built, 'debian');
  const fetched = join(built, 'debian-fetched', packages.join('+'));
  await made(
    'debian',
    () => wanted.every(existsSync),
    `fetching ${packages.join(' and ')}`,
    async () => {
      mkdirSync(fetched, { recursive: true });
      const fetch = () => output('apt-get', ['download', ...packages], { cwd: fetched, timeoutMs: buildTimeoutMs });
      // A machine that has never asked does not know what there is.
      await fetch().catch(async () => {
        await output('apt-get', ['update'], { timeoutMs: buildTimeoutMs });
        await fetch();
      });
      for (const file of readdirSync(fetched).filter((name) => name.endsWith('.deb')))
        await output('dpkg', ['-x', join(fetched, file), directory]);
    },
  );
}

/** Once, though several test files want it at the same time; what is announced is told, because it takes long. */
async function made(
  name: string,
  isMade: () => boolean,
  announcement: string | undefined,
  make: () => Promise<void>,
): Promise<void> {
  if (isMade()) return;
  await exclusively(join(built, 'locks', name), async () => {
    if (isMade()) return;
    const start = Date.now();
    if (announcement !== undefined) process.stderr.write(`peers: ${announcement} …\n`);
    await make();
    if (announcement !== undefined)
      process.stderr.write(`peers: ${announcement}: ${Math.round((Date.now() - start) / 1000)} s\n`);
  });
}
