// The custom resource definitions of the providers and of Crossplane, which tests take from `$CRDS_DIR`; without it, whoever asks for them fails.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { schemaFaults } from './structural-schema.ts';
import type { Schema } from './structural-schema.ts';

export interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly scope: string;
    readonly names: { readonly kind: string; readonly plural: string };
    readonly versions: readonly {
      readonly name: string;
      readonly storage: boolean;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata?: object;
  readonly [field: string]: unknown;
}

export function definitionFiles(): string[] {
  const directory = process.env['CRDS_DIR'];
  if (directory === undefined || directory === '')
    throw new Error('CRDS_DIR names no folder: these tests need the definitions of the providers and of Crossplane');
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.yaml'))
    .map((path) => join(directory, path));
}

const parsed = new Map<string, Definition>();

/** The definition of an object's kind; providers' files are named by group and plural, so only those of the group are read. */
export function definitionOf({ apiVersion, kind }: KubernetesObject): Definition {
  const group = apiVersion.split('/')[0]!;
  const found = definitionFiles()
    .filter((path) => path.includes(`/${group}_`))
    .map(load)
    .find(({ spec }) => spec.names.kind === kind);
  if (found === undefined) throw new Error(`no definition of ${apiVersion} ${kind}`);
  return found;
}

export function load(path: string): Definition {
  const known = parsed.get(path) ?? (parse(readFileSync(path, 'utf8')) as Definition);
  parsed.set(path, known);
  return known;
}

const ownFields = ['apiVersion', 'kind', 'metadata'];

/** Faults of an object by the schema of its version; `apiVersion`, `kind` and `metadata` are Kubernetes' own. */
export function faultsOf(object: KubernetesObject, definition = definitionOf(object)): string[] {
  const version = definition.spec.versions.find(({ name }) => object.apiVersion.endsWith(`/${name}`));
  if (version === undefined) return [`${object.kind}: no version of ${object.apiVersion}`];
  const rest = Object.fromEntries(Object.entries(object).filter(([field]) => !ownFields.includes(field)));
  const schema = version.schema.openAPIV3Schema;
  return schemaFaults(
    { ...schema, required: (schema.required ?? []).filter((name) => name !== 'metadata') },
    rest,
    object.kind,
  );
}
