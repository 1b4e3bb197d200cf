// What of a specification has the right shape by itself, field by field, so that one wrong field hides no fault of another.
import { z } from 'zod';
import { clusterSchema, segmentSchema, ttlSchema, workloadSchema } from './trust-domain-spec.ts';
import type { ClusterSpec, SegmentSpec, TrustDomainSpec, WorkloadSpec } from './trust-domain-spec.ts';

export interface Placed<T> {
  readonly index: number;
  readonly value: T;
}

export interface SpecParts {
  readonly trustDomain?: string;
  readonly ttl: Partial<TrustDomainSpec['ttl']>;
  readonly segments: readonly Placed<Partial<SegmentSpec>>[];
  readonly clusters: readonly Placed<Partial<ClusterSpec>>[];
  /** Of segments and clusters, misspelt names too: a workload that refers to one is not at fault as well. */
  readonly placeNames: ReadonlySet<unknown>;
  readonly workloads: readonly Placed<Partial<WorkloadSpec>>[];
}

export function readParts(input: unknown): SpecParts {
  const { trustDomain, ttl, segments, clusters, workloads } = recordOf(input);
  return {
    ...(typeof trustDomain === 'string' ? { trustDomain } : {}),
    ttl: rightFields(ttlSchema, ttl),
    segments: placed(segmentSchema, segments),
    clusters: placed(clusterSchema, clusters),
    placeNames: new Set([...listOf(segments), ...listOf(clusters)].map((place) => recordOf(place)['name'])),
    workloads: placed(workloadSchema, workloads),
  };
}

function placed<S extends z.ZodObject>(schema: S, items: unknown): Placed<Partial<z.output<S>>>[] {
  return listOf(items).map((item, index) => ({ index, value: rightFields(schema, item) }));
}

/** The fields that parse, with the defaults of those that are absent. */
function rightFields<S extends z.ZodObject>(schema: S, item: unknown): Partial<z.output<S>> {
  const record = recordOf(item);
  const fields = Object.entries(schema.shape).flatMap(([key, field]) => {
    const parsed = z.safeParse(field, Object.hasOwn(record, key) ? record[key] : undefined);
    return parsed.success ? [[key, parsed.data] as const] : [];
  });
  return Object.fromEntries(fields) as Partial<z.output<S>>;
}

function recordOf(value: unknown): Record<string, unknown> {
  const parsed = z.record(z.string(), z.unknown()).safeParse(value);
  return parsed.success ? parsed.data : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
