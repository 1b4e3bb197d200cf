// The definitions of our kinds: sound for Crossplane, the same for both flavours, and as strict as the function that builds them.
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { trustDomainSchema } from '../../activities/spec/trust-domain-spec.ts';
import { kinds } from '../../crossplane/functions/kinds/kinds.ts';
import {
  compositeDefinition,
  folders,
  readYaml,
  toCustomResourceDefinitions,
} from '../support/composite-definitions.ts';
import { faultsOf } from '../support/custom-resources.ts';
import type { Schema } from '../support/structural-schema.ts';
import { cases } from './specs.ts';

const all = folders('apis');

it('are there for every kind that the function builds, in both flavours', () => {
  const named = (family: 'apis' | 'legacy') =>
    folders(family).map((folder) => compositeDefinition(family, folder).spec.names.kind);
  expect(named('apis').sort()).toEqual(Object.keys(kinds).sort());
  expect(named('legacy').sort()).toEqual(
    Object.keys(kinds)
      .map((kind) => `X${kind}`)
      .sort(),
  );
});

/** What both languages of schemas can say; the other one's limits of length are there for the cost of its rules. */
function shapeOf({ properties, items, required, pattern, ...rest }: Schema & { readonly default?: unknown }): object {
  const { type, default: standard, enum: values, minimum, maximum, minItems } = rest;
  return {
    type,
    default: standard,
    values,
    minimum,
    maximum,
    minItems,
    pattern: pattern?.replaceAll('\\d', '[0-9]'),
    required: required?.toSorted(),
    items: items && shapeOf(items),
    properties:
      properties && Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, shapeOf(schema)])),
  };
}

it.each(Object.keys(trustDomainSchema.shape).filter((field) => field !== 'trustDomain'))(
  'say of a trust domain’s %s what the workflows’ specification says',
  (field) => {
    const { spec } = compositeDefinition('apis', 'trust-domain').spec.versions[0]!.schema.openAPIV3Schema.properties!;
    const wanted = (z.toJSONSchema(trustDomainSchema, { io: 'input' }) as Schema).properties![field]!;
    // Who has a claim has Crossplane, and who has a file has the lab.
    const standard = field === 'infrastructure' ? { default: 'crossplane' } : {};
    expect(shapeOf(spec!.properties![field]!)).toEqual(shapeOf({ ...wanted, ...standard }));
  },
);

describe.each(all)('%s', (folder) => {
  const modern = compositeDefinition('apis', folder);
  const legacy = compositeDefinition('legacy', folder);
  const { kind, plural } = modern.spec.names;

  it.each(['apis', 'legacy'] as const)('holds against the schemas of Crossplane, in %s', (family) => {
    expect(faultsOf(compositeDefinition(family, folder))).toEqual([]);
    expect(faultsOf(readYaml(family, folder, 'composition.yaml'))).toEqual([]);
  });

  it('is namespaced, and a claim in a group of its own', () => {
    expect(modern).toMatchObject({
      apiVersion: 'apiextensions.crossplane.io/v2',
      metadata: { name: `${plural}.espalier.io` },
      spec: { group: 'espalier.io', scope: 'Namespaced' },
    });
    expect(legacy).toMatchObject({
      apiVersion: 'apiextensions.crossplane.io/v1',
      metadata: { name: `x${plural}.legacy.espalier.io` },
      spec: { group: 'legacy.espalier.io', scope: 'LegacyCluster', claimNames: { kind, plural } },
    });
  });

  it('has one schema for both flavours', () => {
    expect(legacy.spec.versions).toEqual(modern.spec.versions);
    expect(modern.spec.versions[0]!.additionalPrinterColumns.length).toBeGreaterThan(1);
  });

  it('is composed by the function', () => {
    for (const [family, prefix] of [
      ['apis', ''],
      ['legacy', 'X'],
    ] as const) {
      const { group } = compositeDefinition(family, folder).spec;
      expect(readYaml(family, folder, 'composition.yaml')).toMatchObject({
        spec: {
          compositeTypeRef: { apiVersion: `${group}/v1alpha1`, kind: `${prefix}${kind}` },
          mode: 'Pipeline',
          pipeline: [{ functionRef: { name: 'espalier-function' } }],
        },
      });
    }
  });

  it('takes the specifications that the function takes, and no unknown field', () => {
    const [definition] = toCustomResourceDefinitions(modern);
    const mine = cases.filter((each) => each.kind === kind);
    expect(mine.length).toBeGreaterThan(0);
    for (const { spec } of mine) {
      const object = { apiVersion: 'espalier.io/v1alpha1', kind, spec };
      expect(faultsOf(object, definition)).toEqual([]);
      expect(faultsOf({ ...object, spec: { ...spec, colour: 'red' } }, definition)).toEqual([
        `${kind}.spec.colour: unknown field`,
      ]);
    }
  });
});
