// Checks a trust domain's specification whole, before anything starts: every fault is reported, each with its place in the document.
import { z } from 'zod';
import { parseDuration } from '../../runtime/spiffe/duration.ts';
import { parseSelector } from '../../runtime/spiffe/selector.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { createSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import { checkTtlLattice } from '../../runtime/spiffe/ttl-lattice.ts';
import { workloadPath } from './identities.ts';
import { segmentSchema, trustDomainSchema, ttlSchema, workloadSchema } from './trust-domain-spec.ts';
import type { SegmentSpec, TrustDomainSpec, WorkloadSpec } from './trust-domain-spec.ts';

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
  const parts = partsOf(input);
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
    ...checkWorkloads(parts),
  ];
  if (!shaped.success || faults.length > 0) throw new SpecError(faults);
  return shaped.data;
}

interface Placed<T> {
  readonly index: number;
  readonly value: T;
}

/** What of the document has the right shape by itself, so that one wrong field hides no fault of another. */
interface Parts {
  readonly trustDomain?: string;
  readonly ttl?: TrustDomainSpec['ttl'];
  readonly segments: readonly Placed<SegmentSpec>[];
  readonly segmentNames: ReadonlySet<string>;
  readonly workloads: readonly Placed<WorkloadSpec>[];
}

function partsOf(input: unknown): Parts {
  const document = z
    .looseObject({ segments: z.array(z.unknown()).catch([]), workloads: z.array(z.unknown()).catch([]) })
    .safeParse(input);
  if (!document.success) return { segments: [], segmentNames: new Set(), workloads: [] };
  const { trustDomain, ttl, segments, workloads } = document.data as Record<string, unknown> & {
    segments: unknown[];
    workloads: unknown[];
  };
  const parsedTtl = ttlSchema.safeParse(ttl);
  const name = z.looseObject({ name: z.string() });
  return {
    ...(typeof trustDomain === 'string' ? { trustDomain } : {}),
    ...(parsedTtl.success ? { ttl: parsedTtl.data } : {}),
    segments: placed(segmentSchema, segments),
    segmentNames: new Set(placed(name, segments).map(({ value }) => value.name)),
    workloads: placed(workloadSchema, workloads),
  };
}

function placed<T>(schema: z.ZodType<T>, items: readonly unknown[]): Placed<T>[] {
  return items.flatMap((item, index) => {
    const parsed = schema.safeParse(item);
    return parsed.success ? [{ index, value: parsed.data }] : [];
  });
}

function checkTrustDomain({ trustDomain }: Parts): SpecFault[] {
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

function checkLattice({ ttl, segments }: Parts): SpecFault[] {
  if (ttl === undefined) return [];
  const root = parseDuration(ttl.root);
  const x509Svid = parseDuration(ttl.x509Svid);
  return segments.flatMap(({ index, value }) =>
    checkTtlLattice({ root, intermediate: parseDuration(value.intermediateTtl), x509Svid }).map((fault) => ({
      place: `segments[${index}].intermediateTtl`,
      message: `TTL lattice broken: ${fault.message}`,
    })),
  );
}

function checkSegments({ segments }: Parts): SpecFault[] {
  const attestorOf = { gcp: 'gcp_iit', aws: 'aws_iid' } as const;
  const mismatched = segments.flatMap(({ index, value }) =>
    value.attestor === attestorOf[value.cloud]
      ? []
      : [
          {
            place: `segments[${index}].attestor`,
            message: `nodes of ${value.cloud} attest with ${attestorOf[value.cloud]}, not ${value.attestor}`,
          },
        ],
  );
  return [...findDuplicates(segments, 'segments', (segment) => segment.name), ...mismatched];
}

function checkWorkloads({ segments, segmentNames, workloads }: Parts): SpecFault[] {
  const cloudOf = new Map(segments.map(({ value }) => [value.name, value.cloud]));
  const faults = workloads.flatMap(({ index, value }) => {
    const place = `workloads[${index}]`;
    if (!segmentNames.has(value.segment)) {
      return [{ place: `${place}.segment`, message: `no segment has the name ${JSON.stringify(value.segment)}` }];
    }
    const path = workloadPath(cloudOf.get(value.segment) ?? 'gcp', value);
    return [
      ...attempt(place, path, () => createSpiffeId(parseTrustDomain('example.org'), path)),
      ...value.selectors.flatMap((selector, s) =>
        attempt(`${place}.selectors[${s}]`, selector, () => parseSelector(selector)),
      ),
    ];
  });
  return [
    ...faults,
    ...findDuplicates(workloads, 'workloads', (w) => `${w.segment}/${w.environment}/${w.team}/${w.name}`),
  ];
}

function findDuplicates<T>(items: readonly Placed<T>[], list: string, nameOf: (item: T) => string): SpecFault[] {
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
