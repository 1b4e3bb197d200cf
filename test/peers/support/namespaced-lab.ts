// A lab whose instances are in network namespaces, in this process or in one that can be killed, with instances that do nothing but answer.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RunInstancesCommand } from '@aws-sdk/client-ec2';
import { awsClients, gcpRest, until } from '../../lab/support.ts';
import type { TestLab } from '../../lab/support.ts';
import { namespaceHindrances } from '../../../lab/instance/network-programs.ts';
import { root } from './programs.ts';

/** Answers on ports 9000 and 9001 with who asked, and with as many bytes as asked for. */
const answering = `#!/bin/sh
cat > "$ESPALIER_ROOT/answer.cjs" <<'END'
const { createServer } = require('node:http');
for (const port of [9000, 9001])
  createServer((request, response) => {
    const size = Number(request.url.slice(1));
    response.end(size > 0 ? Buffer.alloc(size) : request.socket.remoteAddress);
  }).listen(port, '0.0.0.0');
END
exec ${process.execPath} "$ESPALIER_ROOT/answer.cjs"
`;

/** Why these tests cannot be run here, said once; `false` where they can. */
export function refusal(): boolean {
  const hindrances = namespaceHindrances();
  if (hindrances.length > 0) process.stderr.write(`peers: no network namespaces here, not tested: ${hindrances.join('; ')}\n`); // prettier-ignore
  return hindrances.length > 0;
}

export type RunningLab = Pick<TestLab, 'lab' | 'directory'> & {
  end(signal: NodeJS.Signals): Promise<void>;
};

/** As a process of its own, as it ships. */
export async function startLabProcess(
  directory = mkdtempSync(join(tmpdir(), 'namespaces-')),
  reach: readonly number[] = [],
): Promise<RunningLab> {
  const words = [
    join(root, 'lab/main.ts'),
    '--state',
    directory,
    '--network',
    '100',
    '--isolation',
    'namespaces',
    ...reach.flatMap((port) => ['--reach', String(port)]),
  ];
  const file = join(directory, 'lab.json');
  rmSync(file, { force: true });
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'inherit', 'pipe'] });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  await until('the lab', () => {
    if (child.exitCode !== null) throw new Error(`the lab ended: ${said}`);
    return existsSync(file) || undefined;
  });
  const description = JSON.parse(readFileSync(file, 'utf8')) as TestLab['lab']['description'];
  return {
    directory,
    lab: { description, close: () => Promise.reject(new Error('it is a process: end it')) },
    async end(signal) {
      child.kill(signal);
      await ended;
    },
  };
}

export interface Answering {
  /** As the faults' API knows it. */
  readonly name: string;
  readonly id: string;
  readonly address: string;
}

export async function runEc2(on: RunningLab, name: string, groups: string[], options: object = {}): Promise<Answering> {
  const { ec2 } = awsClients(on);
  const run = new RunInstancesCommand({
    ImageId: 'ami-0077000000000077e',
    MinCount: 1,
    MaxCount: 1,
    SecurityGroupIds: groups,
    UserData: Buffer.from(answering).toString('base64'),
    TagSpecifications: [{ ResourceType: 'instance', Tags: [{ Key: 'Name', Value: name }] }],
    ...options,
  });
  const [instance] = (await ec2.send(run)).Instances ?? [];
  return started(on, { name, id: instance?.InstanceId ?? '', address: instance?.PrivateIpAddress ?? '' });
}

export async function runGce(on: RunningLab, name: string, tags: string[]): Promise<Answering> {
  const zone = '/compute/v1/projects/espalier-lab/zones/us-central1-a/instances';
  const { status } = await gcp(on, 'POST', zone, {
    name,
    machineType: 'zones/us-central1-a/machineTypes/e2-small',
    disks: [{ boot: true }],
    networkInterfaces: [{ network: 'global/networks/default' }],
    tags: { items: tags },
    metadata: { items: [{ key: 'startup-script', value: answering }] },
  });
  if (status !== 200) throw new Error(`instance ${name}: ${status}`);
  const { body } = await gcp(on, 'GET', `${zone}/${name}`);
  const [nic] = body['networkInterfaces'] as { networkIP: string }[];
  return started(on, { name, id: String(body['id']), address: nic!.networkIP });
}

export function gcp(on: RunningLab, method: string, path: string, body?: unknown) {
  return gcpRest(on, method, path, body);
}

/** Ready when it answers itself, which no rule is asked about. */
async function started(on: RunningLab, instance: Answering): Promise<Answering> {
  await until(`instance ${instance.name}`, () => reach(on, instance, instance.address) || undefined);
  return instance;
}

/** Whether a new connection from one instance reaches the other: a cut or denied one says nothing, so that patience decides. */
export function reach(on: RunningLab, from: Answering, to: string, port = 9000): boolean {
  try {
    return inside(on, from, ['curl', '-s', '-m', '1', `http://${to}:${port}/`]) === from.address;
  } catch {
    return false; // not reached
  }
}

export function inside(on: RunningLab, { address }: Answering, words: readonly string[]): string {
  const namespace = namespaceOf(on, address);
  return execFileSync('ip', ['netns', 'exec', namespace, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }); // prettier-ignore
}

export function namespaceOf({ directory }: Pick<RunningLab, 'directory'>, address: string): string {
  const network = address.split('.')[1] ?? '';
  const state = JSON.parse(readFileSync(join(directory, 'state.json'), 'utf8')) as Record<
    'aws' | 'gcp',
    { instances: { machine: { address: string; number: number } }[] }
  >;
  const machines = [...state.aws.instances, ...state.gcp.instances].map(({ machine }) => machine);
  const number = machines.find((machine) => machine.address === address)?.number;
  return `espalier-${network}-${number ?? 'none'}`;
}

/** Namespaces and links of the lab's network on this machine. */
export function traces(network: string | number): string[] {
  const own = (name: string) => name === `espalier-${network}` || name.startsWith(`espalier-${network}-`);
  const listed = (words: string[]) => JSON.parse(execFileSync('ip', ['-json', ...words], { encoding: 'utf8' }) || '[]') as { name?: string; ifname?: string }[]; // prettier-ignore
  return [...listed(['netns', 'list']), ...listed(['link', 'show'])].map(({ name, ifname }) => name ?? ifname ?? '').filter(own); // prettier-ignore
}
