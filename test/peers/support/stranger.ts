// A node that nobody expects: a machine of the same project with the same image and the same boot script, under an identity that no entry names.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { nodeBootScript } from '../../../activities/boot/node.ts';
import { createInfrastructure } from '../../../activities/infrastructure.ts';
import { findMachineRuns } from '../../../workers/up/summary.ts';
import { eventually, run } from './processes.ts';
import { root } from './programs.ts';
import type { RunningDomain } from './running-domain.ts';

export interface Stranger {
  readonly workloadApiSocket: string;
  /** What the demonstration workload's own program is given on a node's socket. */
  fetchAsWorkload(socket: string): Promise<{ readonly code: number | null; readonly output: string }>;
  stop(): Promise<void>;
}

const role = 'node-stranger';
const name = 'stranger-0';
const region = 'us-central1';

/** Resolves when its agent has attested to the segment's server. */
export async function bootStranger(domain: RunningDomain): Promise<Stranger> {
  const { summary, state } = domain;
  const { trustDomain } = summary;
  const labFile = join(state, 'lab/lab.json');
  const infrastructure = createInfrastructure({ labFile, real: undefined });
  const gcp = await infrastructure.client('gcp', 'lab');
  const { image } = await infrastructure.substrate('lab');
  const server = summary.servers.find((each) => each.name === 'gcp-server-0');
  const serverAddress = server?.address.replace(/:\d+$/, '') ?? '';
  const stop = async (): Promise<void> => {
    await gcp.removeInstance({ trustDomain, name, region });
    await gcp.removeInstanceIdentity({ trustDomain, role });
  };
  try {
    await gcp.ensureInstanceIdentity({ trustDomain, role, rights: { secrets: [], describeInstances: false } });
    const boot = {
      name,
      cloud: 'gcp',
      trustDomain,
      artifact: servedArtifact(state),
      serverAddress,
      workloads: [],
    } as const;
    const bootScript = nodeBootScript({ ...boot, bundlePem: await domain.bundlePem() });
    await gcp.ensureInstance({ trustDomain, name, region, role, bootScript, owner: 'peers' });
    const instance = await eventually('the stranger', async () => {
      const found = await gcp.findInstance({ trustDomain, name, region });
      if (found === undefined) throw new Error('not running yet');
      return found;
    });
    const lab = JSON.parse(readFileSync(labFile, 'utf8')) as { endpoint: string; gcp: { accessToken: string } };
    const runs = await findMachineRuns({ endpoint: lab.endpoint, token: lab.gcp.accessToken });
    const show = ['agent', 'show', '-spiffeID', instance.agentId, '-socketPath', server?.adminSocket ?? ''];
    await eventually(
      'the stranger to attest',
      async () => {
        const shown = await run(join(root, 'bin/spire-server'), show);
        if (shown.code !== 0) throw new Error(shown.stderr);
      },
      120_000,
    );
    return {
      workloadApiSocket: `${runs.get(instance.address) ?? ''}/spire-agent/public/api.sock`,
      async fetchAsWorkload(socket) {
        const program = join(image, 'opt/demo/workload-a');
        const words = [join(root, 'runtime/agent/cli/main.ts'), 'api', 'fetch', 'x509', '-socketPath', socket];
        const { code, stdout, stderr } = await run(program, words);
        return { code, output: stdout + stderr };
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The archive that `up` serves now. */
function servedArtifact(state: string): { readonly url: string; readonly sha256: string } {
  const directory = join(root, '.espalier/artifact');
  const [newest] = readdirSync(directory).filter((file) => file.endsWith('.sha256'));
  const sha256 = readFileSync(join(directory, newest ?? ''), 'utf8').trim();
  const { artifact } = JSON.parse(readFileSync(join(state, 'ports.json'), 'utf8')) as { artifact: number };
  return { url: `http://127.0.0.1:${artifact}/espalier-${sha256}.tar.gz`, sha256 };
}
