// Instances as SpireMachine. Crossplane makes them, cuts them off, notes what is on them and takes them away; where they are and what they say is asked of
// the cloud itself.
import type { CloudClient, CreateInstance } from '../../cloud.ts';
import { releaseLabel } from '../../cloud.ts';
import { failure } from '../../failures.ts';
import { partName, placeName } from '../../spec/resource-names.ts';
import type { Cloud } from '../../spec/trust-domain-spec.ts';
import type { Composites } from './composites.ts';
import { manager } from './composites.ts';
import { explain } from './readiness.ts';
import type { AppliedObject, Objects } from './objects.ts';
import { commonSpec, trustDomainLabels } from './settings.ts';
import type { CrossplaneSettings } from './settings.ts';

type Machines = Pick<
  CloudClient,
  'ensureInstance' | 'findInstance' | 'isolateInstance' | 'removeInstance' | 'noteRelease'
>;

export interface MachinesOptions {
  readonly objects: Objects;
  readonly composites: Composites;
  readonly cloud: Cloud;
  readonly settings: CrossplaneSettings;
  /** The cloud itself. */
  readonly direct: Pick<CloudClient, 'findInstance'>;
}

const kind = 'SpireMachine';
/** Changes of one kind that are under way together. */
const mostAtOnce = 20;

export function createCrossplaneMachines(options: MachinesOptions): Machines {
  const { objects, composites, cloud, settings, direct } = options;

  return {
    async ensureInstance(input) {
      const { trustDomain, name } = input;
      const existing = await objects.get(kind, partName(trustDomain, name));
      if (existing !== undefined) {
        refuseForeign(name, existing.spec['owner'], input.owner);
        return;
      }
      // The provider would take over what has the name, whoever made it.
      if ((await direct.findInstance(input)) !== undefined)
        throw failure('Conflict', `instance ${name} exists already, and Crossplane did not make it`);
      await objects.apply(machineOf(input, cloud, settings), { manager, force: false });
    },

    async findInstance(input) {
      const { trustDomain, name } = input;
      const machine = await objects.get(kind, partName(trustDomain, name));
      if (machine === undefined) return undefined;
      const found = await direct.findInstance(input);
      // Known to Crossplane too, or it could not be taken away again.
      if (found !== undefined && machine.status?.['instanceId'] === found.instanceId) return found;
      const reason = (await explain(objects, machine)) ?? `${kind} ${machine.metadata.name} is ready, but does not run`;
      throw failure('NotReady', reason);
    },

    async isolateInstance({ trustDomain, name }) {
      const machine = partName(trustDomain, name);
      if ((await objects.get(kind, machine)) === undefined) return;
      await composites.change({ kind, name: machine, spec: { isolated: true } }, 'isolation');
    },

    removeInstance: ({ trustDomain, name }) => composites.remove(kind, partName(trustDomain, name)),

    async noteRelease({ trustDomain, names, release }) {
      const spec = { release: releaseLabel(release) };
      for (let from = 0; from < names.length; from += mostAtOnce)
        await Promise.all(
          names
            .slice(from, from + mostAtOnce)
            .map((name) => composites.change({ kind, name: partName(trustDomain, name), spec }, 'release')),
        );
    },
  };
}

function machineOf(input: CreateInstance, cloud: Cloud, settings: CrossplaneSettings): AppliedObject {
  const { trustDomain, name, region, role, owner, bootScript, settings: made, release } = input;
  return {
    kind,
    name: partName(trustDomain, name),
    labels: trustDomainLabels(trustDomain),
    spec: {
      ...commonSpec(settings, cloud, trustDomain),
      region,
      networkRef: { name: placeName(trustDomain, cloud, region) },
      name,
      role,
      owner,
      ...(made === undefined ? {} : { settings: made }),
      ...(release === undefined ? {} : { release: releaseLabel(release) }),
      zone: zoneOf(cloud, name),
      image: cloud === 'aws' ? settings.awsImage : settings.gcpImage,
      bootScript,
    },
  };
}

/** Turn by turn over the network's zones. Google's machines are looked for in the first zone of a region, so there they are. */
function zoneOf(cloud: Cloud, name: string): string {
  const index = Number(/\d+$/.exec(name)?.[0] ?? 0);
  return cloud === 'aws' && index % 2 === 1 ? 'b' : 'a';
}

function refuseForeign(name: string, actual: unknown, owner: string): void {
  if (actual === owner) return;
  throw failure(
    'Conflict',
    `instance ${name} exists already and belongs to ${typeof actual === 'string' ? actual : 'nobody known'}`,
  );
}
