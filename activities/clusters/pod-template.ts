// Changes to an object that makes pods. The bases say all that stands in it; here is what differs from one cluster to the next.
import { digest } from '../spec/resource-names.ts';
import type { BaseObject } from './bases.ts';
import type { Labels } from './labels.ts';

type Json = Readonly<Record<string, unknown>>;

export interface Container extends Json {
  readonly name: string;
  readonly volumeMounts?: readonly Json[];
}

export interface PodSpec extends Json {
  readonly containers: readonly Container[];
  readonly volumes?: readonly Json[];
}

interface Template {
  readonly metadata: { readonly labels?: Labels; readonly annotations?: Labels };
  readonly spec: PodSpec;
}

interface VolumeClaim {
  readonly metadata: { readonly name: string; readonly labels?: Labels };
  readonly spec: Json;
}

/** Labels for it, its pods and its volumes, which outlive it. */
export function labelled(object: BaseObject, labels: Labels): BaseObject {
  const { metadata, spec } = object;
  const own = { ...object, metadata: { ...metadata, labels: { ...metadata.labels, ...labels } } };
  if (spec?.['template'] === undefined) return own;
  const template = spec['template'] as Template;
  const claims = claimsIn(spec).map((claim) => ({
    ...claim,
    metadata: { ...claim.metadata, labels: { ...claim.metadata.labels, ...labels } },
  }));
  return {
    ...own,
    spec: {
      ...spec,
      template: {
        ...template,
        metadata: { ...template.metadata, labels: { ...template.metadata.labels, ...labels } },
      },
      ...(claims.length === 0 ? {} : { volumeClaimTemplates: claims }),
    },
  };
}

export function withStorageClass(object: BaseObject, storageClassName: string | undefined): BaseObject {
  if (storageClassName === undefined || object.spec === undefined) return object;
  const claims = claimsIn(object.spec).map((claim) => ({ ...claim, spec: { ...claim.spec, storageClassName } }));
  return claims.length === 0 ? object : { ...object, spec: { ...object.spec, volumeClaimTemplates: claims } };
}

/** `configuration`: all that its programs read when they start; where it changes, the pods are made anew. */
export function withPods(object: BaseObject, change: (spec: PodSpec) => PodSpec, configuration: string): BaseObject {
  const template = object.spec?.['template'] as Template;
  const annotations = {
    ...template.metadata.annotations,
    'espalier.io/configuration': digest(configuration).slice(0, 16),
  };
  const metadata = { ...template.metadata, annotations };
  return { ...object, spec: { ...object.spec, template: { ...template, metadata, spec: change(template.spec) } } };
}

function claimsIn(spec: Json): readonly VolumeClaim[] {
  return (spec['volumeClaimTemplates'] ?? []) as readonly VolumeClaim[];
}
