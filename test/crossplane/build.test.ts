// What the function builds for every kind: compared whole with the goldens, and held against the schemas of the providers. `UPDATE_GOLDEN=1` writes
// the goldens anew; the difference is then read like any other.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { describe, expect, it } from 'vitest';
import type { Flavour, Json } from '../../crossplane/functions/composed.ts';
import { runFunction } from '../../crossplane/functions/run-function.ts';
import { ownDefinitionOf } from '../support/composite-definitions.ts';
import { faultsOf } from '../support/custom-resources.ts';
import type { KubernetesObject } from '../support/custom-resources.ts';
import { requestFor } from './requests.ts';
import { cases } from './specs.ts';
import type { Case } from './specs.ts';

const flavours = ['namespaced', 'legacy'] as const;
const every = cases.flatMap((each) => flavours.map((flavour) => ({ ...each, flavour })));

function build(given: Omit<Case, 'name'>, flavour: Flavour): Readonly<Record<string, KubernetesObject>> {
  const { desired, results } = runFunction(requestFor(given, flavour));
  expect(results.filter(({ severity }) => severity === 1)).toEqual([]);
  return Object.fromEntries(
    Object.entries(desired!.resources).map(([name, { resource }]) => [name, resource as unknown as KubernetesObject]),
  );
}

/** Every selector by labels, wherever it stands. */
function selectorsOf(value: unknown): Json[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = 'matchLabels' in value ? [value.matchLabels as Json] : [];
  return [...own, ...Object.values(value).flatMap(selectorsOf)];
}

describe.each(every)('$name, $flavour', ({ flavour, ...given }) => {
  const { name, spec } = given;
  const built = build(given, flavour);

  it('is what the golden says', () => {
    const path = join(import.meta.dirname, 'golden', `${name}.${flavour}.yaml`);
    if (process.env['UPDATE_GOLDEN'] === '1') {
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, stringify(built, { aliasDuplicateObjects: false, lineWidth: 0 }));
    }
    expect(existsSync(path), `no golden ${path}`).toBe(true);
    expect(built).toEqual(parse(readFileSync(path, 'utf8')));
  });

  it('holds against the schemas of the providers', () => {
    expect(Object.keys(built).length).toBeGreaterThan(0);
    expect(Object.values(built).flatMap((resource) => faultsOf(resource, ownDefinitionOf(resource)))).toEqual([]);
  });

  it('selects only what this composition or its network has', () => {
    const cloud = spec['cloud'] as string | undefined;
    const network =
      cloud === undefined
        ? {}
        : build(
            cases.find((other) => other.name === `network-${cloud}`)!,
            flavour,
          );
    // Crossplane itself labels the composite resource of a claim.
    const claimed: Json = { 'crossplane.io/claim-namespace': 'trust', 'crossplane.io/claim-name': 'network' };
    const there = [
      claimed,
      ...[...Object.values(built), ...Object.values(network)].map(
        ({ metadata }) => (metadata as { labels?: Json }).labels ?? {},
      ),
    ];
    const missing = selectorsOf(built).filter(
      (wanted) => !there.some((labels) => Object.entries(wanted).every(([key, value]) => labels[key] === value)),
    );
    expect(missing).toEqual([]);
  });
});

it('finds an unknown field, and one that a provider requires', () => {
  const vpc = build(cases[1]!, 'namespaced')['vpc']!;
  const { forProvider, ...spec } = vpc['spec'] as { forProvider: Json };
  const { region, ...without } = forProvider;
  expect(region).toBe('us-east-1');
  expect(faultsOf({ ...vpc, spec: { ...spec, forProvider: { ...forProvider, colour: 'red' } } })).toEqual([
    'VPC.spec.forProvider.colour: unknown field',
  ]);
  expect(faultsOf({ ...vpc, spec: { ...spec, forProvider: without } })).toEqual([
    'VPC.spec.forProvider.region: is required',
  ]);
});
