// Checks a trust domain's specification whole, before anything starts: every fault is reported, each with its place in the document.
import { createHash } from 'node:crypto';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { parseSelector } from '../../runtime/spiffe/selector.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { createSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { checkTtlLattice } from '../../runtime/spiffe/ttl-lattice.ts';
import { workloadPath } from './identities.ts';
import { readParts } from './spec-parts.ts';
import type { Placed, SpecParts } from './spec-parts.ts';
import { trustDomainSchema } from './trust-domain-spec.ts';
import type { Platform, TrustDomainSpec, WorkloadSpec } from './trust-domain-spec.ts';

export interface SpecFault {
  /** Where in the document, such as `segments[1].region`. */
  readonly place: string;
  readonly message: string;
}

/** Thrown with all faults at once; the message lists them, one a line. */
export class SpecError extends Error {
  readonly code = 'INVALID_SPEC';
  readonly faults: readonly SpecFault[];

  constructor(faults: readonly SpecFault[]) {
    super(
      `the trust domain's specification has ${faults.length} fault${faults.length === 1 ? '' : 's'}:\n${faults.map((f) => `  ${f.place}: ${f.message}`).join('\n')}`,
    );
    this.name = 'SpecError';
    this.faults = faults;
  }
}

/** Outside data to a checked specification with its defaults filled in; throws {@link SpecError} with every fault. */
export function parseTrustDomainSpec(input: unknown): TrustDomainSpec {
  const shaped = trustDomainSchema.safeParse(input, { reportInput: true });
  const parts = readParts(input);
  const faults = [
    ...(shaped.success
      ? []
      : shaped.error.issues.map((issue) => ({
          place: placeOf(issue.path),
          message: describe(issue.message, issue.input),
        }))),
    ...checkTrustDomain(parts),
    ...checkLattice(parts),
    ...checkSegments(parts),
    ...checkClusters(parts),
    ...checkWorkloads(parts),
    ...(shaped.success ? checkContexts(shaped.data) : []),
  ];
  if (!shaped.success || faults.length > 0) throw new SpecError(faults);
  return shaped.data;
}

/** By it a trust domain that stands is known to be that of a specification. */
export function specDigest(spec: TrustDomainSpec): string {
  return createHash('sha256').update(JSON.stringify(spec)).digest('hex');
}

function checkTrustDomain({ trustDomain }: SpecParts): SpecFault[] {
  if (trustDomain === undefined) return [];
  if (trustDomain.includes('/')) {
    return [
      {
        place: 'trustDomain',
        message: `must be a trust domain name, not an ID or a path: ${JSON.stringify(trustDomain)}`,
      },
    ];
  }
  return attempt('trustDomain', trustDomain, () => parseTrustDomain(trustDomain));
}

/** A level whose TTL has no right shape leaves the other levels to be checked: it stands as one that breaks nothing. */
function checkLattice({ ttl, segments, clusters }: SpecParts): SpecFault[] {
  const root = millisecondsOf(ttl.root, Infinity);
  const x509Svid = millisecondsOf(ttl.x509Svid, 0);
  const jwtSvid = millisecondsOf(ttl.jwtSvid, 0);
  const check = (list: string, { index, value }: SpecParts['segments' | 'clusters'][number]): SpecFault[] => {
    if (value.intermediateTtl === undefined) return [];
    const intermediate = parseDuration(value.intermediateTtl);
    return checkTtlLattice({ root, intermediate, x509Svid, jwtSvid }).map((fault) => ({
      place: `${list}[${index}].intermediateTtl`,
      message: `TTL lattice broken: ${fault.message}`,
    }));
  };
  return [
    ...segments.flatMap((segment) => check('segments', segment)),
    ...clusters.flatMap((cluster) => check('clusters', cluster)),
  ];
}

function millisecondsOf(text: string | undefined, absent: number): number {
  return text === undefined ? absent : parseDuration(text);
}

const attestorOf = { gcp: 'gcp_iit', aws: 'aws_iid' } as const;

const upstreamName = 'upstream';

function checkSegments({ segments }: SpecParts): SpecFault[] {
  const mismatched = segments.flatMap(({ index, value: { cloud, attestor } }) =>
    cloud === undefined || attestor === undefined || attestor === attestorOf[cloud]
      ? []
      : [
          {
            place: `segments[${index}].attestor`,
            message: `nodes of ${cloud} attest with ${attestorOf[cloud]}, not ${attestor}`,
          },
        ],
  );
  // Databases, secrets and instances are named after their pool.
  const taken = segments
    .filter(({ value: { name } }) => name === upstreamName)
    .map(({ index }) => ({
      place: `segments[${index}].name`,
      message: `${upstreamName} is the name of the tier above`,
    }));
  return [...findDuplicates(segments, 'segments', (segment) => segment.name), ...taken, ...mismatched];
}

/** A cluster has a name of its own among segments too: tiers, entries and runs are named after either. */
function checkClusters({ segments, clusters }: SpecParts): SpecFault[] {
  const segmentNames = segments.map(({ value }) => value.name);
  const clashes = clusters.flatMap(({ index, value: { name } }) => {
    if (name === undefined) return [];
    const place = `clusters[${index}].name`;
    if (name === upstreamName) return [{ place, message: `${upstreamName} is the name of the tier above` }];
    return segmentNames.includes(name)
      ? [{ place, message: `a segment has the name ${JSON.stringify(name)} already` }]
      : [];
  });
  return [...findDuplicates(clusters, 'clusters', (cluster) => cluster.name), ...clashes];
}

/** Two by one context would be one cluster. Asked where all have the right shape: saying none and saying a wrong one are two things. */
function checkContexts({ clusters = [] }: TrustDomainSpec): SpecFault[] {
  const contexts = clusters.map(({ context }) => context);
  return contexts.flatMap((context, index) => {
    const first = contexts.indexOf(context);
    if (first === index) return [];
    const said = context === undefined ? 'no context either' : `this context too: ${JSON.stringify(context)}`;
    return [{ place: `clusters[${index}].context`, message: `clusters[${first}] has ${said}` }];
  });
}

function checkWorkloads({ segments, clusters, placeNames, workloads }: SpecParts): SpecFault[] {
  const platformOf = new Map<string | undefined, Platform | undefined>([
    ...clusters.map(({ value }) => [value.name, value.platform] as const),
    ...segments.map(({ value }) => [value.name, value.cloud] as const),
  ]);
  const segmentNames = segments.map(({ value }) => value.name);
  const isCluster = (name: string | undefined): boolean =>
    name !== undefined && !segmentNames.includes(name) && clusters.some(({ value }) => value.name === name);
  const faults = workloads.flatMap(({ index, value }) => {
    const place = `workloads[${index}]`;
    const { segment, selectors = [] } = value;
    return [
      ...(segment === undefined || placeNames.has(segment)
        ? []
        : [{ place: `${place}.segment`, message: `no segment has the name ${JSON.stringify(segment)}` }]),
      ...checkWorkloadPath(place, value, segment === undefined ? undefined : platformOf.get(segment)),
      ...selectors.flatMap((selector, s) =>
        attempt(`${place}.selectors[${s}]`, selector, () => {
          const { type } = parseSelector(selector);
          if (type !== 'k8s' && isCluster(segment))
            throw new Error('agents of a cluster attest workloads by k8s alone');
        }),
      ),
    ];
  });
  return [...faults, ...findDuplicates(workloads, 'workloads', workloadName)];
}

/** Where the platform is not known, any platform's name serves: what is checked does not depend on it. */
function checkWorkloadPath(place: string, workload: Partial<WorkloadSpec>, platform: Platform = 'gcp'): SpecFault[] {
  const { environment, team, name } = workload;
  if (environment === undefined || team === undefined || name === undefined) return [];
  const path = workloadPath(platform, { environment, team, name });
  return attempt(place, path, () => createSpiffeId(parseTrustDomain('example.org'), path));
}

/** Undefined unless every part is there, so that two unnamed workloads are not taken for one. */
function workloadName({ segment, environment, team, name }: Partial<WorkloadSpec>): string | undefined {
  const parts = [segment, environment, team, name];
  return parts.includes(undefined) ? undefined : parts.join('/');
}

function findDuplicates<T>(
  items: readonly Placed<T>[],
  list: string,
  nameOf: (item: T) => string | undefined,
): SpecFault[] {
  const names = items.map(({ value }) => nameOf(value));
  return items.flatMap(({ index }, i) => {
    const name = names[i];
    return name !== undefined && names.indexOf(name) < i
      ? [{ place: `${list}[${index}]`, message: `duplicate name: ${JSON.stringify(name)}` }]
      : [];
  });
}

function attempt(place: string, value: string, check: () => unknown): SpecFault[] {
  try {
    check();
    return [];
  } catch (cause) {
    return [{ place, message: `${cause instanceof Error ? cause.message : String(cause)}: ${JSON.stringify(value)}` }];
  }
}

function placeOf(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return text === '' ? 'document' : text.replace(/^\./, '');
}

function describe(message: string, value: unknown): string {
  const isPlain = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
  return isPlain ? `${message}: ${JSON.stringify(value)}` : message;
}
