// Running nodes on GCE: found by their labels, told what to run by an item of their own metadata, for which each of them waits, and heard by a guest attribute.
// It is what every image has: OS Config's policies need an agent and an API of their own and are rolled out by Google in its own time, and SSH needs a way in.
// https://cloud.google.com/compute/docs/metadata/manage-guest-attributes
import type { protos } from '@google-cloud/compute';
import type { ListedNode, NodeCommand, NodeCommands, NodeOutcome } from '../cloud.ts';
import { releaseLabel } from '../cloud.ts';
import { homeZoneOf, zoneOf } from './gcp-instances.ts';
import type { GcpInstance } from './gcp-instances.ts';

type Metadata = protos.google.cloud.compute.v1.IMetadata;

/** What is asked of instances, wherever in a region they run. */
export interface InstructedInstances {
  readonly project: string;
  /** Of the trust domain. */
  readonly list: (region: string, trustDomain: string) => Promise<readonly GcpInstance[]>;
  readonly setMetadata: (instance: GcpInstance, metadata: Metadata) => Promise<void>;
  readonly setLabels: (instance: GcpInstance, labels: Readonly<Record<string, string>>) => Promise<void>;
  /** By key, of the namespace; empty where there are none yet. */
  readonly guestAttributes: (
    instance: { readonly zone: string; readonly name: string },
    namespace: string,
  ) => Promise<ReadonlyMap<string, string>>;
}

const instructionKey = 'espalier-instruction';
const namespace = 'espalier';
export const releaseLabelKey = 'espalier-release';
/** What lets a guest report; instances that were made before have it not, and get it with their first instruction. */
export const guestAttributesItem = { key: 'enable-guest-attributes', value: 'TRUE' } as const;
/** Requests of one kind that are under way together: Google's limits are by the minute. */
const mostAtOnce = 20;

export function createGcpCommands(instances: InstructedInstances): NodeCommands {
  const { project } = instances;

  const nodesOf = async (region: string, trustDomain: string, role: string) =>
    (await instances.list(region, trustDomain)).filter(({ labels }) => labels?.['espalier-role'] === role);

  async function find({
    region,
    trustDomain,
    role,
    names,
  }: Pick<NodeCommand, 'region' | 'trustDomain' | 'role' | 'names'>) {
    const wanted = new Set(names);
    const found = await nodesOf(region, trustDomain, role);
    return found.filter(({ labels }) => wanted.has(labels?.['espalier-name'] ?? ''));
  }

  async function instruct(instance: GcpInstance, text: string): Promise<void> {
    const { metadata } = instance;
    const items = (metadata?.items ?? []).filter(
      ({ key }) => key !== instructionKey && key !== guestAttributesItem.key,
    );
    const told = [...items, guestAttributesItem, { key: instructionKey, value: text }];
    const fingerprint = metadata?.fingerprint ?? '';
    await instances.setMetadata(instance, { fingerprint, items: told });
  }

  return {
    async listNodes({ trustDomain, region, role }) {
      const found = await nodesOf(region, trustDomain, role);
      return found.map((one): ListedNode => ({
        name: one.labels?.['espalier-name'] ?? '',
        agentId: `spiffe://${trustDomain}/spire/agent/gcp_iit/${project}/${String(one.id)}`,
        isRunning: one.status === 'RUNNING',
        release: one.labels?.[releaseLabelKey],
      }));
    },

    async beginCommand(command) {
      const { region, names, id, script, timeoutSeconds } = command;
      const found = (await find(command)).filter(({ status }) => status === 'RUNNING');
      const text = JSON.stringify({ id, script });
      await each(found, async (instance) => {
        const is = instance.metadata?.items?.find(({ key }) => key === instructionKey)?.value;
        if (is !== text) await instruct(instance, text);
      });
      const running = new Map(
        found.map((one) => [one.labels?.['espalier-name'] ?? '', `${zoneOf(one)}/${one.name ?? ''}`]),
      );
      return {
        region,
        id,
        timeoutAt: Date.now() + (timeoutSeconds + 60) * 1000,
        nodes: names.flatMap((name) => {
          const reference = running.get(name);
          return reference === undefined ? [] : [{ name, reference }];
        }),
        refused: names
          .filter((name) => !running.has(name))
          .map((name) => ({ name, isDone: false, said: 'it does not run' })),
      };
    },

    async readCommand({ region, id, nodes }) {
      const outcomes: NodeOutcome[] = [];
      await each(nodes, async ({ name, reference }) => {
        const attributes = await instances.guestAttributes(referred(reference, region), namespace);
        const end = endOf(attributes.get('instruction'));
        if (end?.id !== id) return;
        const said = end.output.trim();
        outcomes.push(
          end.code === 0
            ? { name, isDone: true, said }
            : { name, isDone: false, said: `ended with ${end.code}: ${said}` },
        );
      });
      return outcomes;
    },

    async noteRelease({ release, ...where }) {
      await each(await find(where), async (instance) => {
        const labels = { ...instance.labels, [releaseLabelKey]: releaseLabel(release) };
        if (instance.labels?.[releaseLabelKey] !== labels[releaseLabelKey]) await instances.setLabels(instance, labels);
      });
    },
  };
}

/** Commands that began before zones were named are of the one in which everything was made. */
function referred(reference: string, region: string): { readonly zone: string; readonly name: string } {
  const [name = '', zone = homeZoneOf(region)] = reference.split('/').toReversed();
  return { zone, name };
}

interface End {
  readonly id: string;
  readonly code: number;
  readonly output: string;
}

/** Written by whoever is root on the node: anything may stand there. */
function endOf(text: string | undefined): End | undefined {
  if (text === undefined) return undefined;
  try {
    const { id, code, output } = JSON.parse(text) as Partial<Record<keyof End, unknown>>;
    return typeof id === 'string' && typeof code === 'number' && typeof output === 'string'
      ? { id, code, output }
      : undefined;
  } catch {
    return undefined;
  }
}

async function each<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items];
  const work = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: mostAtOnce }, work));
}
