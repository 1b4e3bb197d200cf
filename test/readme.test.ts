// What the README says and code can check: names, versions, paths, tables and shapes. Prose stays prose.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { parse } from 'yaml';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { trustDomainSchema } from '../activities/spec/trust-domain-spec.ts';
import { agentAttestorTypes } from '../runtime/attest/agent-attestors.ts';
import { writeSummary } from '../workers/up/summary.ts';
import { codeBlockOf, quotedIn, rowsOf, sectionOf, withoutCodeBlocks } from './support/markdown.ts';
import * as workflows from '../workflows/index.ts';
import * as searchAttributes from '../workflows/lib/search-attributes.ts';

const root = join(import.meta.dirname, '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const readme = read('README.md');
const manifest = z
  .object({
    scripts: z.record(z.string(), z.string()),
    dependencies: z.record(z.string(), z.string()),
    devDependencies: z.record(z.string(), z.string()),
  })
  .parse(JSON.parse(read('package.json')));
const ignored = read('.gitignore').split('\n');
const topFolders = readdirSync(root, { withFileTypes: true })
  .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && !ignored.includes(`${entry.name}/`))
  .map(({ name }) => name)
  .sort();
const section = (title: string): string => sectionOf(readme, title);

describe('the README', () => {
  it('has every dependency with its exact version and a reason, and no other', () => {
    const listed = rowsOf(section('Dependencies')).map(([name, version]) => [quotedIn(name!)[0], version]);
    const real = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(listed).toEqual(real);
    expect(rowsOf(section('Dependencies')).filter(([, , reason]) => reason === '')).toEqual([]);
  });

  it('has every npm script in its table of commands, and names no other', () => {
    const named = [...readme.matchAll(/\bnpm (?:run )?(start|test|(?<=run )[a-z]+)\b/g)].map(([, name]) => name);
    const tabled = rowsOf(section('Run it')).flatMap(([command]) => quotedIn(command!));
    expect([...new Set(named)].sort()).toEqual(Object.keys(manifest.scripts).sort());
    expect(tabled.map((command) => command.replace(/^npm (run )?/, '')).sort()).toEqual(
      Object.keys(manifest.scripts).sort(),
    );
  });

  it('has every top folder in its table of folders, and no other', () => {
    const listed = rowsOf(section('Folders')).flatMap(([folder]) => quotedIn(folder!));
    expect(listed.map((folder) => folder.replace(/\/$/, '')).sort()).toEqual(topFolders);
  });

  it('has every workflow in its tables of workflows and runbooks, and no other', () => {
    const rows = [...rowsOf(section('The workflow by hand')), ...rowsOf(section('Runbooks'))];
    const listed = rows.flatMap(([name]) => quotedIn(name!));
    const names = Object.keys(workflows).sort();
    for (const { name } of Object.values(searchAttributes)) expect(section('The workflow by hand')).toContain(name);
    expect(listed.filter((name) => !name.includes(' ') && (/[A-Z]/.test(name) || names.includes(name))).sort()).toEqual(
      names,
    );
  });

  it('names every variable of a worker', () => {
    const variables = new Set(read('workers/settings.ts').match(/\bESPALIER_[A-Z0-9_]+(?=:)/g));
    expect(variables.size).toBeGreaterThan(5);
    expect(quotedIn(section('Environment')).filter((word) => word.startsWith('ESPALIER_'))).toEqual(
      expect.arrayContaining([...variables]),
    );
  });

  it('names every node attestor', () => {
    const words = quotedIn(section('Divergences from SPIRE'));
    expect(words).toEqual(expect.arrayContaining([...agentAttestorTypes]));
  });

  it('says nothing of the machine it was written on', () => {
    expect(readme).not.toMatch(/(^|[\s`"'(])\/(work|root|home|Users)\b/m);
  });
});

describe('the specification in the README', () => {
  it('is the one that npm start grows', () => {
    expect(parse(codeBlockOf(section('`trust-domain.yaml`'), 'yaml'))).toEqual(parse(read('trust-domain.yaml')));
  });

  it('has every field of the schema with its default', () => {
    const listed = rowsOf(section('`trust-domain.yaml`')).map(([field, byDefault]) => [
      quotedIn(field!)[0],
      quotedIn(byDefault!)[0] ?? byDefault,
    ]);
    expect(listed.sort()).toEqual(fieldsOf(trustDomainSchema).sort());
  });
});

/** Every leaf of a schema as `a.b` or `list[].c`, with its default, `none` or `required`. */
function fieldsOf(schema: z.ZodType, path = ''): (readonly [string, string])[] {
  if (schema instanceof z.ZodDefault) {
    const inner = schema.unwrap() as z.ZodType;
    if (isComposite(inner)) return fieldsOf(inner, path);
    return [[path, String(schema.parse(undefined))]];
  }
  if (schema instanceof z.ZodObject) {
    const shape = schema.shape as Record<string, z.ZodType>;
    return Object.entries(shape).flatMap(([key, field]) => fieldsOf(field, path === '' ? key : `${path}.${key}`));
  }
  if (schema instanceof z.ZodArray && schema.element instanceof z.ZodObject)
    return fieldsOf(schema.element, `${path}[]`);
  if (schema instanceof z.ZodOptional) {
    const inner = schema.unwrap() as z.ZodType;
    return isComposite(inner) ? fieldsOf(inner, path) : [[path, 'none']];
  }
  return [[path, 'required']];
}

function isComposite(schema: z.ZodType): boolean {
  return schema instanceof z.ZodObject || (schema instanceof z.ZodArray && schema.element instanceof z.ZodObject);
}

describe('the summary in the README', () => {
  it('has the fields that are written, and no other', () => {
    const directory = mkdtempSync(join(tmpdir(), 'readme-'));
    try {
      const instance = {
        name: 'a',
        instanceId: 'i',
        agentId: 'b',
        address: '127.0.0.1',
        cloud: 'gcp',
        region: 'c',
      } as const;
      writeSummary(join(directory, 'summary.json'), {
        report: {
          trustDomain: 'example.org',
          servers: [{ ...instance, role: 'upstream' }],
          agents: [{ ...instance, segment: 'gcp' }],
          workloads: [{ spiffeId: 'd', agent: 'a', chain: [] }],
          handshakes: [],
          refusals: [],
        },
        workflowId: 'e',
        temporal: { address: 'f', namespace: 'g', ui: 'h' },
        runs: new Map([['127.0.0.1', '/run']]),
      });
      const written: unknown = JSON.parse(readFileSync(join(directory, 'summary.json'), 'utf8'));
      const shown: unknown = JSON.parse(codeBlockOf(section('What `npm start` leaves for programs'), 'json'));
      expect(shapeOf(shown)).toEqual(shapeOf(written));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, field]) => [key, shapeOf(field)]));
}

interface Area {
  readonly may: readonly string[];
  readonly mayTypes?: readonly string[];
  readonly not?: readonly string[];
  readonly but?: readonly string[];
}

/** The table that the import test enforces, read from its source: the file itself would run as a test. */
function loadAreas(): Record<string, Area> {
  const source = read('test/architecture.test.ts');
  const table = /^const temporal = [\s\S]*?^const areas[\s\S]*?^};$/m.exec(source);
  if (table === null) throw new Error('test/architecture.test.ts has no table of areas');
  return runInNewContext(`${stripTypeScriptTypes(table[0])}\nareas;`) as Record<string, Area>;
}

const families = { Temporal: '@temporalio/', Kubernetes: '@kubernetes/', AWS: '@aws-sdk/', Google: '@google-cloud/' };
const sets: Readonly<Record<string, readonly string[]>> = {
  base: ['proto/gen', 'runtime/spiffe', 'runtime/pki', 'runtime/rpc'],
  program: ['proto/gen', 'runtime/spiffe', 'runtime/pki', 'runtime/rpc', 'runtime/hcl', 'runtime/log', 'runtime/cli'],
};

function mayUse({ not = [], but = [] }: Area): string[] {
  return Object.entries(families)
    .filter(([, prefix]) => !not.includes(prefix) || but.some((allowed) => allowed.startsWith(prefix)))
    .map(([name]) => name);
}

describe('the import table in the README', () => {
  const table = rowsOf(section('Who may import whom'));

  it('is the one that is enforced', () => {
    const areas = loadAreas();
    const listed = table.map(([area, ours, packages]) => {
      const [values = '', types = ''] = ours!.split('; types of ');
      const named = [...values.matchAll(/\*(\w+)\*/g)].flatMap(([, name]) => sets[name!] ?? []);
      return {
        area: quotedIn(area!)[0],
        may: [...named, ...quotedIn(values)].sort(),
        mayTypes: quotedIn(types),
        packages: Object.keys(families).filter((name) => packages!.includes(name)),
      };
    });
    const enforced = Object.entries(areas).map(([area, rules]) => ({
      area,
      may: [...rules.may].sort(),
      mayTypes: [...(rules.mayTypes ?? [])],
      packages: mayUse(rules),
    }));
    expect(listed).toEqual(enforced);
  });

  it('names the modules of Node where they are rationed', () => {
    for (const [area, { not = [], but = [] }] of Object.entries(loadAreas())) {
      if (!not.includes('node:')) continue;
      const cell = table.find(([name]) => name === `\`${area}\``)?.[2] ?? '';
      const modules = but.filter((name) => name.startsWith('node:'));
      expect(
        quotedIn(cell)
          .filter((word) => word.startsWith('node:'))
          .sort(),
        area,
      ).toEqual([...modules].sort());
      expect(cell, area).toContain('of Node');
    }
  });
});

const readmes = ['README.md', ...topFolders.map((folder) => `${folder}/README.md`)];

describe.each(readmes.filter((file) => existsSync(join(root, file))))('%s', (file) => {
  const folder = join(root, file, '..');

  it('names only paths that exist', () => {
    // The import table names areas, which are prefixes; a test of its own holds it.
    const text = withoutCodeBlocks(read(file)).replace(/\n## Who may import whom\n[\s\S]*?(?=\n## )/, '');
    const paths = quotedIn(text)
      .map((word) => word.replace(/^node /, '').split(' ')[0]!)
      .filter((word) => isOurPath(word, folder));
    expect(paths.length).toBeGreaterThan(0);
    expect(paths.filter((path) => !existsSync(join(root, path)) && !existsSync(join(folder, path)))).toEqual([]);
  });

  it('is a page at most, below the root', () => {
    expect(file === 'README.md' ? 0 : read(file).split('\n').length).toBeLessThan(70);
  });
});

/** Begins with a folder of ours, or is named as our files are. What is made at run time begins with a dot. */
function isOurPath(word: string, folder: string): boolean {
  if (!/^\w[\w.-]*(\/[\w.-]+)*\/?$/.test(word)) return false;
  const [first = ''] = word.split('/');
  const isBelow = word.includes('/') && (topFolders.includes(first) || existsSync(join(folder, first)));
  return isBelow || /^[a-z-]+\.(ts|yaml)$/.test(word);
}
