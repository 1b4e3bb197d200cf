// Both clouds and every SPIRE server as the workflows see them: things exist after they were made and are gone after they were removed.
// A call can be made to fail, and each is noted, so that tests can fail every step in turn and look at what is left.
import { failure } from '../../activities/failures.ts';
import type { FailureType } from '../../activities/failures.ts';
import type { CloudActivities, ControlActivities, WorkloadAddress } from '../../activities/inputs.ts';
import { planTrustDomain } from '../../activities/control/plan-trust-domain.ts';
import type { Instance } from '../../activities/plan.ts';
import { parseTrustDomainSpec, SpecError } from '../../activities/spec/check-spec.ts';
import type { Cloud } from '../../activities/spec/trust-domain-spec.ts';
import type { TrustActivities } from '../../activities/trust/rotation.ts';
import type { RunbookActivities } from '../../activities/runbooks/runbook.ts';
import { createFakeFleet } from './fake-fleet.ts';
import type { FakeFleet } from './fake-fleet.ts';
import { createFakeTroubles } from './fake-troubles.ts';
import type { FakeTroubles } from './fake-troubles.ts';

export interface FakeWorld {
  /** What exists, by name: `gcp instance upstream-0`. */
  readonly things: ReadonlySet<string>;
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
  control(): ControlActivities & TrustActivities & RunbookActivities;
  cloud(cloud: Cloud): CloudActivities;
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
const artifact = { url: 'http://127.0.0.1:1/espalier.tar.gz', sha256: '00' };

export function createFakeWorld(trustDomain = 'example.org'): FakeWorld {
  const fleet = createFakeFleet(trustDomain);
  const troubles = createFakeTroubles(fleet, (spec) => control().planTrustDomain({ spec }));
  const things = new Set<string>();
  const made = new Map<string, number>();
  const launched = new Map<string, string>();
  const owners = new Map<string, string>();
  const calls: string[] = [];
  const rightsOf = new Map<string, readonly string[]>();
  const world: FakeWorld = {
    things,
    calls,
    made,
    launched,
    rights: rightsOf,
    expired: new Set(),
    failing: undefined,
    refusing: undefined,
    blocked: undefined,
    fleet,
    troubles,
    control: () => watched('control', { ...control(), ...fleet.activities(), ...troubles.activities() }),
    cloud: (cloud) => watched(cloud, cloudActivities(cloud)),
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
          if (world.refusing === call) throw failure('PermissionDenied', `${call} is refused`);
          if (world.blocked?.call === call) await world.blocked.until;
          // The worst moment: the act was done and its answer is lost.
          const result = await act(input);
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
    return {
      ...{ name, cloud, region, instanceId: `i-${name}`, address: '127.0.0.1', agentId },
      ...(launchedAt === '' ? {} : { launchedAt }),
    };
  }

  function cloudActivities(cloud: Cloud): CloudActivities {
    const place = (name: string, owner: string) => make(`${cloud} instance ${name}`, owner);
    return {
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
      ensureDatastore: async ({ pool }) => {
        make(`${cloud} secret ${pool}`);
        return `secret-${pool}`;
      },
      ensureUpstreamAuthority: async () => {
        make(`${cloud} secret upstream-authority`);
        return ['secret-upstream-authority'];
      },
      removeUpstreamAuthority: async () => void things.delete(`${cloud} secret upstream-authority`),
      removeDatastore: async ({ pool }) => void things.delete(`${cloud} secret ${pool}`),
      ensureServerInstance: async ({ name, owner }) => place(name, owner),
      ensureNodeInstance: async ({ name, owner }) => place(name, owner),
      removeInstance: async ({ name }) => void things.delete(`${cloud} instance ${name}`),
      waitForInstance: async ({ trustDomain, region, name }) => {
        if (!things.has(`${cloud} instance ${name}`)) throw failure('Conflict', `instance ${name} does not exist`);
        return instanceOf(cloud, region, trustDomain, name);
      },
      readBundleDigests: async () => ['00'],
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
      readmitAgent: async ({ agentId }) => world.expired.delete(agentId),
      ensureEntry: async ({ entry }) => `entry for ${entry.spiffeId}`,
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
