// Both clouds and every SPIRE server as the workflows see them: things exist after they were made and are gone after they were removed.
// A call can be made to fail, and each is noted, so that tests can fail every step in turn and look at what is left.
import { activityInfo } from '@temporalio/activity';
import { failure } from '../../activities/failures.ts';
import type { FailureType } from '../../activities/failures.ts';
import type { CloudActivities, ControlActivities, WorkloadAddress } from '../../activities/inputs.ts';
import { planTrustDomain } from '../../activities/control/plan-trust-domain.ts';
import type { Instance } from '../../activities/plan.ts';
import { parseTrustDomainSpec, SpecError } from '../../activities/spec/check-spec.ts';
import type { Cloud } from '../../activities/spec/trust-domain-spec.ts';
import type { TrustActivities } from '../../activities/trust/rotation.ts';
import type { RollOutActivities } from '../../activities/rollout/rollout.ts';
import type { RunbookActivities } from '../../activities/runbooks/runbook.ts';
import { groupPlaced } from '../../activities/clients/group-placed.ts';
import { segmentOfRole } from '../../activities/clients/segment-remains.ts';
import { settingsOf } from '../../activities/cloud.ts';
import type { SegmentRemains } from '../../activities/cloud.ts';
import { checkUpdate } from '../../activities/update/check-update.ts';
import { compareDomain } from '../../activities/update/compare.ts';
import type { PlacedGroup, UpdateActivities } from '../../activities/update/update.ts';
import type { DrillActivities } from '../../activities/drills/drill.ts';
import type { ClusterActivities } from '../../activities/clusters/cluster.ts';
import { createFakeClusters } from './fake-clusters.ts';
import type { FakeClusters } from './fake-clusters.ts';
import { createFakeDrills } from './fake-drills.ts';
import type { FakeDrills } from './fake-drills.ts';
import { createFakeFleet } from './fake-fleet.ts';
import type { FakeFleet } from './fake-fleet.ts';
import { createFakeNodes } from './fake-nodes.ts';
import type { FakeNodes } from './fake-nodes.ts';
import { createFakeTroubles } from './fake-troubles.ts';
import type { FakeTroubles } from './fake-troubles.ts';

export interface FakeEntry {
  readonly spiffeId: string;
  readonly parentId: string;
  readonly selectors: readonly string[];
  readonly isOurs: boolean;
  readonly downstream?: boolean;
}

export interface FakeWorld {
  /** What exists, by name: `gcp instance upstream-0`. */
  readonly things: Set<string>;
  /** Every call in order: `gcp ensureNetwork`, `control ensureEntry`. */
  readonly calls: readonly string[];
  /** How often each thing was made: more than once means that something was made twice. */
  readonly made: ReadonlyMap<string, number>;
  /** The call that answers with this failure from now on; `undefined` for none. */
  failing: { readonly call: string; readonly type: FailureType } | undefined;
  /** The secrets that an identity may read, by cloud and role. */
  readonly rights: ReadonlyMap<string, readonly string[]>;
  /** Agents whose SVIDs have expired. */
  readonly expired: Set<string>;
  /** A call that fails once, in a way that is tried again: before it acts, or when it has done all but say so. */
  stumbling: { readonly call: string; readonly moment: 'before' | 'after' } | undefined;
  /** The call that is refused before it acts. */
  refusing: string | undefined;
  /** Resolves the call that waits only when told; the rest answer at once. */
  blocked: { readonly call: string; readonly until: Promise<void> } | undefined;
  /** When instances were started; long ago where nothing is said. By name; '' where their cloud does not say. */
  readonly launched: Map<string, string>;
  /** What rotations act on; none of the clouds' things. */
  readonly fleet: FakeFleet;
  /** What runbooks see of it. */
  readonly troubles: FakeTroubles;
  /** What drills break. */
  readonly drills: FakeDrills;
  /** What rollouts change. */
  readonly nodes: FakeNodes;
  /** What clusters of Kubernetes say of themselves. */
  readonly clusters: Pick<FakeClusters, 'states' | 'silent'>;
  /** Entries by id. */
  readonly entries: Map<string, FakeEntry>;
  /** Programs that run on nodes, by node, where an update has placed them. */
  readonly programs: Map<string, readonly string[]>;
  control(): ControlActivities &
    TrustActivities &
    RunbookActivities &
    RollOutActivities &
    UpdateActivities &
    DrillActivities;
  cloud(cloud: Cloud): CloudActivities;
  kubernetes(): ClusterActivities;
  /** Something that another run made. */
  put(thing: string): void;
}

const report = { subject: 'O=SPIRE', uris: [], serialNumber: '1', notAfter: '2026-01-01T00:00:00.000Z', sha256: '00' };
const substrate = {
  image: '/image',
  awsAccount: '000000000077',
  gcpProject: 'espalier-lab',
  awsRegionCertificates: {},
};
const defaultRegions = { gcp: 'us-central1', aws: 'us-east-1' } as const;
const artifact = { url: 'http://127.0.0.1:1/espalier.tar.gz', sha256: '00' };

export function createFakeWorld(trustDomain = 'example.org'): FakeWorld {
  const fleet = createFakeFleet(trustDomain);
  const troubles = createFakeTroubles(fleet, (spec) => control().planTrustDomain({ spec }));
  const nodes = createFakeNodes(
    (cloud, role) =>
      [...things].flatMap((thing) => {
        const [of, kind, name = ''] = thing.split(' ');
        const [part = '', ...segment] = role.split('-');
        const isOne = name.startsWith(`${segment.join('-')}-${part}-`);
        return of === cloud && kind === 'instance' && isOne ? [name] : [];
      }),
    (spec) => control().planTrustDomain({ spec }),
  );
  const expired = new Set<string>();
  const drills = createFakeDrills({ troubles, fleet, expired, planOf: (spec) => control().planTrustDomain({ spec }) });
  const things = new Set<string>();
  const made = new Map<string, number>();
  const launched = new Map<string, string>();
  const owners = new Map<string, string>();
  const regionsOf = new Map<string, string>();
  const settingsOfName = new Map<string, string>();
  const calls: string[] = [];
  const secretRegions = new Map<string, string>();
  const readmitted = new Set<string>();
  /** With the database in which its servers had registered it. */
  const forget = (name: string): void => {
    for (const [id, { spiffeId, parentId }] of world.entries)
      if (`${spiffeId} ${parentId}`.includes(`/spire-nodes-${name}`)) world.entries.delete(id);
  };
  const clusters = createFakeClusters({ things, owners, make, forget });
  const rightsOf = new Map<string, readonly string[]>();
  const world: FakeWorld = {
    things,
    calls,
    made,
    launched,
    rights: rightsOf,
    expired,
    failing: undefined,
    stumbling: undefined,
    refusing: undefined,
    blocked: undefined,
    fleet,
    troubles,
    drills,
    nodes,
    clusters,
    entries: new Map(),
    programs: new Map(),
    control: () =>
      watched('control', {
        ...control(),
        ...fleet.activities(),
        ...troubles.activities(),
        ...nodes.control(),
        ...drills.control(),
        ...updates(),
      }),
    cloud: (cloud) => watched(cloud, cloudActivities(cloud)),
    kubernetes: () => watched('kubernetes', clusters.activities),
    put: (thing) => void things.add(thing),
  };

  function watched<T extends object>(queue: string, activities: T): T {
    const entries = Object.entries(activities as Record<string, (input: unknown) => Promise<unknown>>);
    return Object.fromEntries(
      entries.map(([name, act]) => [
        name,
        async (input: unknown) => {
          const call = `${queue} ${name}`;
          calls.push(call);
          const stumbles = world.stumbling?.call === call ? world.stumbling.moment : undefined;
          if (stumbles !== undefined) world.stumbling = undefined;
          if (stumbles === 'before') throw failure('Unavailable', `${call} stumbles`);
          if (world.refusing === call) throw failure('PermissionDenied', `${call} is refused`);
          if (world.blocked?.call === call) await world.blocked.until;
          // The worst moment: the act was done and its answer is lost.
          const result = await act(input);
          if (stumbles === 'after') throw failure('Unavailable', `${call} stumbles`);
          if (world.failing?.call === call) throw failure(world.failing.type, `${call} was made to fail`);
          return result;
        },
      ]),
    ) as T;
  }

  function make(thing: string, owner?: string): void {
    if (!things.has(thing)) made.set(thing, (made.get(thing) ?? 0) + 1);
    things.add(thing);
    if (owner !== undefined) owners.set(thing, owner);
  }

  function instanceOf(cloud: Cloud, region: string, trustDomain: string, name: string): Instance {
    const agentId = `spiffe://${trustDomain}/spire/agent/${cloud}/${name}`;
    const launchedAt = launched.get(name) ?? '2025-01-01T00:00:00.000Z';
    const times = made.get(`${cloud} instance ${name}`) ?? 1;
    return {
      ...{ name, cloud, region, instanceId: `i-${name}`, agentId },
      // Each time that it is made it has another one.
      address: `${[name, ...(times > 1 ? [String(times)] : [])].join('.')}.internal`,
      ...(launchedAt === '' ? {} : { launchedAt }),
    };
  }

  function updates(): UpdateActivities {
    return {
      checkUpdate: ({ request }) => checkUpdate(request, (asked) => control().planTrustDomain({ spec: asked })),
      compareDomain: async (input) => compareDomain(input),
      listEntries: async ({ parentId }) =>
        [...world.entries].flatMap(([id, entry]) => (entry.parentId === parentId ? [{ id, ...entry }] : [])),
      listEntriesOf: async ({ spiffeId }) =>
        [...world.entries].flatMap(([id, entry]) => (entry.spiffeId === spiffeId ? [{ id, ...entry }] : [])),
      listDownstreamEntries: async () =>
        [...world.entries].flatMap(([id, entry]) => (entry.downstream === true ? [{ id, ...entry }] : [])),
      deleteEntries: async ({ ids }) => {
        for (const id of ids) world.entries.delete(id);
      },
    };
  }

  function placedIn(cloud: Cloud): PlacedGroup[] {
    const instances = [...things].flatMap((thing) => {
      const [of, kind, name = ''] = thing.split(' ');
      if (of !== cloud || kind !== 'instance') return [];
      const [, segment = '', part = ''] = /^(?:(.+)-)?(upstream|server|node)-\d+$/.exec(name) ?? [];
      const role = part === 'upstream' ? part : `${part}-${segment}`;
      return [
        { cloud, region: regionsOf.get(name) ?? defaultRegions[cloud], role, name, settings: settingsOfName.get(name) },
      ];
    });
    return groupPlaced(instances);
  }

  function cloudActivities(cloud: Cloud): CloudActivities {
    const place = (name: string, owner: string) => make(`${cloud} instance ${name}`, owner);
    return {
      ...nodes.cloud(cloud),
      ...drills.cloud(),
      listPlaced: async () => placedIn(cloud),
      placeWorkloads: async ({ node, workloads, stop }) => {
        const before = world.programs.get(node) ?? [];
        const wanted = workloads.map(({ name }) => name);
        world.programs.set(
          node,
          [...new Set([...before, ...wanted])].filter((name) => !stop.includes(name)),
        );
      },
      ensureNetwork: async ({ region }) => make(`${cloud} network ${region}`),
      removeNetwork: async ({ region }) => void things.delete(`${cloud} network ${region}`),
      ensureInstanceIdentity: async ({ role, rights }) => {
        rightsOf.set(`${cloud} ${role}`, rights.secrets);
        make(`${cloud} identity ${role}`);
        return { reference: role, subject: cloud === 'gcp' ? '1234' : undefined };
      },
      removeInstanceIdentity: async ({ role }) => void things.delete(`${cloud} identity ${role}`),
      ensureFederatedRole: async () => {
        make(`${cloud} identity attestor`);
        return 'arn:aws:iam::000000000077:role/attestor';
      },
      removeFederatedRole: async () => void things.delete(`${cloud} identity attestor`),
      ensureDatastore: async ({ pool, region }) => {
        secretRegions.set(pool, region ?? defaultRegions[cloud]);
        make(`${cloud} secret ${pool}`);
        return `secret-${pool}`;
      },
      ensureUpstreamAuthority: async () => {
        make(`${cloud} secret upstream-authority`);
        return ['secret-upstream-authority'];
      },
      removeUpstreamAuthority: async () => void things.delete(`${cloud} secret upstream-authority`),
      removeDatastore: async ({ pool }) => {
        things.delete(`${cloud} secret ${pool}`);
        forget(pool);
      },
      ensureServerInstance: async ({ name, owner, region, plan, pool }) => {
        regionsOf.set(name, region);
        settingsOfName.set(name, settingsOf(plan.spec, pool));
        troubles.down.delete(name); // a new one answers
        place(name, owner);
      },
      ensureNodeInstance: async ({ name, owner, region, workloads }) => {
        regionsOf.set(name, region);
        world.programs.set(
          name,
          workloads.map((workload) => workload.name),
        );
        place(name, owner);
      },
      removeInstance: async ({ name }) => {
        world.programs.delete(name);
        things.delete(`${cloud} instance ${name}`);
      },
      waitForInstance: async ({ trustDomain, region, name }) => {
        if (!things.has(`${cloud} instance ${name}`)) throw failure('Conflict', `instance ${name} does not exist`);
        return instanceOf(cloud, region, trustDomain, name);
      },
      readBundleDigests: async () => ['00'],
      listRemains: async () =>
        [...things].flatMap((thing): SegmentRemains[] => {
          const [of, kind, name = ''] = thing.split(' ');
          if (of !== cloud || (kind !== 'identity' && kind !== 'secret')) return [];
          const segment = kind === 'identity' ? segmentOfRole(name) : name;
          if (segment === undefined || segment.startsWith('upstream')) return [];
          return [{ segment, kind, ...(kind === 'secret' ? { region: secretRegions.get(segment) } : {}) }];
        }),
      listResources: async () =>
        [...things]
          .filter((thing) => thing.startsWith(`${cloud} `))
          .map((thing) => {
            const [, kind = '', name = ''] = thing.split(' ');
            return { kind: kind as 'instance', name, owner: owners.get(thing) };
          }),
    };
  }

  function control(): ControlActivities {
    const workload = ({ spiffeId }: WorkloadAddress) => ({ spiffeId, chain: [report, report, report] });
    return {
      planTrustDomain: async ({ spec }) => {
        try {
          return planTrustDomain(parseTrustDomainSpec(spec), artifact, substrate);
        } catch (cause) {
          if (cause instanceof SpecError) throw failure('InvalidRequest', cause.message);
          throw cause;
        }
      },
      ensureWorkerKey: async ({ trustDomain }) => {
        make('worker key');
        const id = `spiffe://${trustDomain}/prod/onprem/platform/temporal-worker`;
        return {
          certificatePem: 'public',
          agentId: `spiffe://${trustDomain}/spire/agent/x509pop/00`,
          spiffeId: id,
          selectors: ['unix:uid:0'],
        };
      },
      verifyFirstBundle: async () => 'bundle',
      ensureWorkerIdentity: async () => undefined,
      removeWorkerIdentity: async () => void things.delete('worker key'),
      waitForServer: async () => undefined,
      waitForAgent: async () => undefined,
      waitForAttestedAgents: async () => undefined,
      readmitAgent: async ({ agentId }) => {
        if (!world.expired.delete(agentId)) return readmitted.has(agentId) && activityInfo().attempt > 1;
        readmitted.add(agentId);
        return true;
      },
      ensureEntry: async ({ entry: { spiffeId, parentId, selectors, downstream = false } }) => {
        const id = `entry for ${spiffeId}`;
        world.entries.set(`${id} ${parentId} ${selectors.join(' ')}`, {
          spiffeId,
          parentId,
          selectors,
          isOurs: true,
          downstream,
        });
        return id;
      },
      verifyIntermediate: async () => report,
      waitForWorkload: async (input) => workload(input.workload),
      verifyHandshake: async ({ from, to }) => ({
        from: from.spiffeId,
        to: to.spiffeId,
        sawPeer: to.spiffeId,
        seenAs: from.spiffeId,
        peerLeafSha256: '00',
      }),
      verifyRefusal: async (input) => ({
        workload: input.workload.spiffeId,
        refused: 'worker',
        reason: 'not admitted',
      }),
    };
  }

  return world;
}
