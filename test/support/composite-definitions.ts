// Our definitions of composite resources, and what Crossplane makes of them: the custom resource definition of the composite resource, and of its claim.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import type { Definition, KubernetesObject } from './custom-resources.ts';
import type { Schema } from './structural-schema.ts';

const root = join(import.meta.dirname, '../../crossplane');

interface Names {
  readonly kind: string;
  readonly plural: string;
}

export interface CompositeDefinition extends KubernetesObject {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: Names;
    readonly claimNames?: Names;
    readonly versions: readonly {
      readonly name: string;
      readonly additionalPrinterColumns: readonly unknown[];
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

export type NamedObject = KubernetesObject & { readonly metadata: { readonly name: string } };

export type Family = 'apis' | 'legacy';

export function folders(family: Family): string[] {
  return readdirSync(join(root, family), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort();
}

/** An object of ours; whoever reads knows which. */
export function readYaml(...path: string[]): NamedObject {
  return parse(readFileSync(join(root, ...path), 'utf8')) as NamedObject;
}

export function compositeDefinition(family: Family, folder: string): CompositeDefinition {
  return readYaml(family, folder, 'definition.yaml') as unknown as CompositeDefinition;
}

/** What Crossplane itself keeps in `spec`: in one field since version 2, side by side before. */
function machinery(scope: string): Readonly<Record<string, Schema>> {
  const free: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  if (scope !== 'LegacyCluster') return { crossplane: free };
  return {
    compositionRef: free,
    compositionSelector: free,
    compositionRevisionRef: free,
    compositionUpdatePolicy: { type: 'string' },
    claimRef: free,
    resourceRefs: { type: 'array', items: free },
  };
}

/** The definition of an object of ours; undefined for one of others. */
export function ownDefinitionOf({ apiVersion, kind }: KubernetesObject): Definition | undefined {
  return (['apis', 'legacy'] as const)
    .flatMap((family) => folders(family).map((folder) => compositeDefinition(family, folder)))
    .filter(({ spec }) => apiVersion.startsWith(`${spec.group}/`))
    .flatMap(toCustomResourceDefinitions)
    .find(({ spec }) => spec.names.kind === kind);
}

/** As Crossplane's core installs it; the second of a legacy kind is that of its claim, which is namespaced. */
export function toCustomResourceDefinitions({ spec }: CompositeDefinition): (Definition & KubernetesObject)[] {
  const make = (names: Names, scope: string) => ({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${names.plural}.${spec.group}` },
    spec: {
      group: spec.group,
      names,
      scope,
      versions: spec.versions.map(({ name, additionalPrinterColumns, schema }) => ({
        name,
        served: true,
        storage: true,
        additionalPrinterColumns,
        subresources: { status: {} },
        schema: { openAPIV3Schema: withMachinery(schema.openAPIV3Schema, spec.scope) },
      })),
    },
  });
  const composite = make(spec.names, spec.scope === 'Namespaced' ? 'Namespaced' : 'Cluster');
  return spec.claimNames === undefined ? [composite] : [composite, make(spec.claimNames, 'Namespaced')];
}

function withMachinery(schema: Schema, scope: string): Schema {
  const { spec, status } = schema.properties as Readonly<Record<'spec' | 'status', Schema>>;
  const conditions: Schema = { type: 'array', items: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    ...schema,
    properties: {
      spec: { ...spec, properties: { ...spec.properties, ...machinery(scope) } },
      status: { ...status, properties: { ...status.properties, conditions } },
    },
  };
}
