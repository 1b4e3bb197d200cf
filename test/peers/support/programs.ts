// The programs that we did not write, made ready at first use: a virtual environment of Python, and what Go builds. All of it lies under .espalier/peers.
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { output, run } from './processes.ts';

const peers = fileURLToPath(new URL('..', import.meta.url));
export const root = join(peers, '../..');
const built = join(root, '.espalier/peers');
const buildTimeoutMs = 30 * 60_000;

/** The bin directory of a Python that has what python/requirements.txt names. */
export async function preparePython(): Promise<string> {
  const requirements = join(peers, 'python/requirements.txt');
  const environment = join(built, 'python');
  const installed = join(environment, 'installed.txt');
  const bin = join(environment, 'bin');
  const wanted = readFileSync(requirements, 'utf8');
  if (existsSync(installed) && readFileSync(installed, 'utf8') === wanted) return bin;
  await announced(`installing ${requirements}`, async () => {
    if (!existsSync(join(bin, 'pip')))
      await output('python3', ['-m', 'venv', environment], { timeoutMs: buildTimeoutMs });
    const pip = ['install', '--quiet', '--disable-pip-version-check', '--requirement', requirements];
    await output(join(bin, 'pip'), pip, { timeoutMs: buildTimeoutMs });
  });
  writeFileSync(installed, wanted);
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

/** Debian's Prometheus, its tool for rules, and its Alertmanager: unpacked, never installed. */
export async function preparePrometheus(): Promise<
  Readonly<Record<'prometheus' | 'promtool' | 'alertmanager', string>>
> {
  const directory = join(built, 'debian');
  const bin = join(directory, 'usr/bin');
  const programs = {
    prometheus: join(bin, 'prometheus'),
    promtool: join(bin, 'promtool'),
    alertmanager: join(bin, 'prometheus-alertmanager'),
  };
  if (Object.values(programs).every(existsSync) && existsSync(alertmanagerTemplates)) return programs;
  await announced('fetching prometheus and prometheus-alertmanager', async () => {
    mkdirSync(directory, { recursive: true });
    const packages = ['prometheus', 'prometheus-alertmanager'];
    const fetch = () => output('apt-get', ['download', ...packages], { cwd: directory, timeoutMs: buildTimeoutMs });
    // A machine that has never asked does not know what there is.
    await fetch().catch(async () => {
      await output('apt-get', ['update'], { timeoutMs: buildTimeoutMs });
      await fetch();
    });
    for (const file of readdirSync(directory).filter((name) => name.endsWith('.deb')))
      await output('dpkg', ['-x', join(directory, file), directory]);
    if (!existsSync(alertmanagerTemplates))
      cpSync(join(directory, alertmanagerTemplates), alertmanagerTemplates, { recursive: true });
  });
  return programs;
}

/** Debian's Alertmanager reads them at this place and no other; without root it must be installed. */
const alertmanagerTemplates = '/usr/share/prometheus/alertmanager';

/** Go's own cache decides what is to be built again, but for the version in go.mod: a big program is linked once. */
async function buildGo(module: string, source: string, name: string): Promise<string> {
  const directory = join(peers, module);
  const program = join(built, 'bin', name);
  const ours = module === 'go';
  if (!ours && existsSync(program) && statSync(program).mtimeMs > statSync(join(directory, 'go.sum')).mtimeMs)
    return program;
  await checkGo();
  mkdirSync(dirname(program), { recursive: true });
  // Under another name until it is whole; at low priority and two packages at a time, because it takes minutes.
  const unfinished = `${program}.new`;
  const build = [
    '-n',
    '10',
    'go',
    'build',
    '-trimpath',
    '-buildvcs=false',
    '-p=2',
    '-ldflags=-s -w',
    '-o',
    unfinished,
    source,
  ];
  const act = () => output('nice', build, { cwd: directory, timeoutMs: buildTimeoutMs, env: { GOTOOLCHAIN: 'auto' } });
  await (ours ? act() : announced(`building ${source}`, act));
  renameSync(unfinished, program);
  return program;
}

async function checkGo(): Promise<void> {
  const found = await run('go', ['version']).catch(() => undefined);
  if (found?.code !== 0)
    throw new Error('the peer tests build programs in Go: install Go 1.26 or later (https://go.dev/dl)');
}

async function announced(what: string, act: () => Promise<unknown>): Promise<void> {
  const start = Date.now();
  process.stderr.write(`peers: ${what} …\n`);
  await act();
  process.stderr.write(`peers: ${what}: ${Math.round((Date.now() - start) / 1000)} s\n`);
}
