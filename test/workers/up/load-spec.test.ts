// `trust-domain.yaml`, read from disk: what is in it counts, and every fault is told with its place.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { parseTrustDomainSpec } from '../../../activities/spec/check-spec.ts';
import { loadSpec } from '../../../workers/up/load-spec.ts';
import { spec } from '../../support/specs.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'espalier-spec-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function load(text: string) {
  const file = join(directory, 'trust-domain.yaml');
  writeFileSync(file, text);
  return loadSpec(file);
}

describe('loadSpec', () => {
  it("reads the repository's own file as the specification that the tests use", () => {
    const file = fileURLToPath(new URL('../../../trust-domain.yaml', import.meta.url));
    expect(loadSpec(file)).toEqual(parseTrustDomainSpec(spec));
  });

  it('reads JSON too, which is YAML', () => {
    expect(load(JSON.stringify(spec))).toEqual(parseTrustDomainSpec(spec));
  });

  it('names every fault with its place', () => {
    const text = stringify({ ...spec, keyType: 'dsa', workloads: [{ ...spec.workloads[0], segment: 'azure' }] });
    expect(() => load(text)).toThrow(
      /has 2 faults:\n {2}keyType: .*\n {2}workloads\[0\]\.segment: no segment has the name "azure"/,
    );
  });

  it('refuses a field that it does not know, misspelt or not', () => {
    expect(() => load(stringify({ ...spec, keytype: 'ec-p384' }))).toThrow(/keytype/);
  });

  it.each([
    ['an empty file', ''],
    ['a list', '- trustDomain: example.org\n'],
    ['a word', 'example.org\n'],
  ])('refuses %s', (_, text) => {
    expect(() => load(text)).toThrow(/fault/);
  });

  it.each([
    ['a field that is said twice', 'trustDomain: a.org\ntrustDomain: b.org\n'],
    ['two documents', 'trustDomain: a.org\n---\ntrustDomain: b.org\n'],
    ['what is no YAML', 'trustDomain: [\n'],
  ])('refuses %s', (_, text) => {
    expect(() => load(text)).toThrow();
  });

  it('refuses a file that is not there', () => {
    expect(() => loadSpec(join(directory, 'absent.yaml'))).toThrow(/ENOENT.*absent\.yaml/);
  });
});
