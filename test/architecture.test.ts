// Who may import whom (README, "Layout"): a table, and a scan of every import statement. Types count, except where the table says otherwise.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import ts from 'typescript';
import { expect, test } from 'vitest';

interface Area {
  /** Areas of ours, as prefixes of paths; its own is always allowed. */
  readonly may: readonly string[];
  /** Areas whose types alone are allowed. */
  readonly mayTypes?: readonly string[];
  /** Packages and Node modules that are refused, as prefixes, unless a longer prefix is let through. */
  readonly not?: readonly string[];
  readonly but?: readonly string[];
}

const temporal = '@temporalio/';
const kubernetes = '@kubernetes/';
const aws = '@aws-sdk/';
const google = ['@google-cloud/', 'google-auth-library'];
const foreign = [temporal, kubernetes, aws, ...google];

const base = ['proto/gen', 'runtime/spiffe', 'runtime/pki', 'runtime/rpc'];
const program = [...base, 'runtime/hcl', 'runtime/log', 'runtime/cli'];

/** The longest prefix decides. A file under these roots that no row covers fails the test. */
const areas: Readonly<Record<string, Area>> = {
  'proto/gen': { may: [], not: foreign },
  'runtime/spiffe': { may: ['proto/gen'], not: [...foreign, 'node:', '@grpc/'], but: ['node:crypto'] },
  'runtime/pki': {
    may: ['proto/gen', 'runtime/spiffe'],
    not: [...foreign, 'node:', '@grpc/'],
    but: ['node:crypto', 'node:util'],
  },
  'runtime/rpc': { may: ['proto/gen', 'runtime/spiffe', 'runtime/pki'], not: foreign },
  'runtime/hcl': { may: ['runtime/spiffe'], not: foreign },
  'runtime/log': { may: [], not: foreign },
  'runtime/cli': { may: ['runtime/spiffe', 'runtime/log'], not: foreign },
  'runtime/telemetry': { may: [...base, 'runtime/hcl', 'runtime/log'], not: foreign },
  'runtime/workloadapi': { may: [...base, 'runtime/log'], not: foreign },
  'runtime/attest': { may: program, not: foreign },
  'runtime/attest/aws_iid': { may: [...program, 'runtime/attest'], not: foreign, but: [aws] },
  'runtime/attest/gcp_iit': { may: [...program, 'runtime/attest'], not: foreign, but: google },
  'runtime/attest/k8s_psat': { may: [...program, 'runtime/attest'], not: foreign, but: [kubernetes] },
  'runtime/server': { may: [...program, 'runtime/attest', 'runtime/telemetry'], not: foreign },
  'runtime/server/publish': { may: [...program, 'runtime/attest', 'runtime/server'], not: foreign, but: [kubernetes] },
  'runtime/server/upstream': {
    may: [...program, 'runtime/attest', 'runtime/server', 'runtime/workloadapi'],
    not: foreign,
    but: [aws],
  },
  'runtime/agent': { may: [...program, 'runtime/attest', 'runtime/telemetry'], not: foreign },
  'runtime/node': { may: [...program, 'runtime/attest', 'runtime/workloadapi'], not: [temporal, kubernetes] },
  'runtime/helper': { may: [...program, 'runtime/workloadapi'], not: foreign },
  'runtime/demo': { may: [...program, 'runtime/workloadapi'], not: foreign },
  activities: { may: [...base, 'runtime/workloadapi'], not: [kubernetes, aws, ...google] },
  'activities/clients': { may: [...base, 'runtime/workloadapi', 'activities'] },
  'activities/spec': { may: ['runtime/spiffe'], not: foreign },
  workflows: {
    may: ['runtime/spiffe'],
    mayTypes: ['activities'],
    not: [...foreign, 'node:', 'pg'],
    but: ['@temporalio/workflow', '@temporalio/common'],
  },
  workers: {
    may: ['workflows', 'activities', 'runtime/spiffe', 'runtime/workloadapi'],
    not: [kubernetes, aws, ...google],
  },
  crossplane: { may: ['proto/gen', 'runtime/spiffe', 'activities/spec'], not: foreign },
  lab: { may: [], not: foreign },
};

interface Import {
  readonly specifier: string;
  readonly typesOnly: boolean;
}

/** Import and export statements, `import()` and `typeof import()`. */
function importsOf(text: string): Import[] {
  const found: Import[] = [];
  const isDeep = text.includes('import('); // otherwise statements are enough, and large files are quick
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node))
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node.moduleSpecifier, node.isTypeOnly);
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    if (isDeep || ts.isSourceFile(node)) ts.forEachChild(node, visit);
  };
  const add = (node: ts.Node | undefined, typesOnly: boolean): void => {
    if (node !== undefined && ts.isStringLiteral(node)) found.push({ specifier: node.text, typesOnly });
  };
  visit(ts.createSourceFile('scanned.ts', text, ts.ScriptTarget.ES2023));
  return found;
}

function covers(prefix: string, path: string): boolean {
  return (
    path === prefix || path.startsWith(`${prefix}/`) || path.startsWith(`${prefix}.`) || path.startsWith(`${prefix}-`)
  );
}

function areaOf(path: string): string | undefined {
  const fitting = Object.keys(areas).filter((name) => covers(name, path));
  return fitting.sort((a, b) => b.length - a.length)[0];
}

/** What is wrong with the imports of one file, in words. */
function faultsOf(path: string, text: string): string[] {
  const name = areaOf(path);
  const area = name === undefined ? undefined : areas[name];
  if (name === undefined || area === undefined) return [`${path}: no row of the table covers it`];
  return importsOf(text)
    .filter((found) => !isAllowed(path, name, area, found))
    .map(({ specifier }) => `${path} must not import ${specifier}`);
}

function isAllowed(path: string, name: string, area: Area, { specifier, typesOnly }: Import): boolean {
  if (!specifier.startsWith('.')) {
    const isRefused = (area.not ?? []).some((prefix) => specifier.startsWith(prefix));
    return !isRefused || (area.but ?? []).some((prefix) => specifier.startsWith(prefix));
  }
  const target = join(dirname(path), specifier).split(sep).join('/');
  const targetArea = areaOf(target);
  if (targetArea === undefined) return false;
  // A part of an area belongs to it for everybody who may import the whole, its siblings among them.
  const whole = [name, ...area.may, ...(typesOnly ? (area.mayTypes ?? []) : [])];
  return whole.some((allowed) => covers(allowed, targetArea));
}

const root = join(import.meta.dirname, '..');
const roots = ['proto/gen', 'runtime', 'activities', 'workflows', 'workers', 'crossplane', 'lab'];

function sources(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

test.for(roots)('%s imports only what it may', (directory) => {
  const files = sources(directory);
  expect(files.length).toBeGreaterThan(0);
  expect(files.flatMap((path) => faultsOf(path, readFileSync(join(root, path), 'utf8')))).toEqual([]);
});

test.for([
  ['runtime/spiffe/a.ts', `import { b } from '../pki/b.ts';`],
  ['runtime/spiffe/a.ts', `import { readFile } from 'node:fs';`],
  ['runtime/pki/a.ts', `export type { B } from '../rpc/b.ts';`],
  ['runtime/rpc/a.ts', `import type { B } from '../server/b.ts';`],
  ['runtime/server/a.ts', `const b = await import('../agent/b.ts');`],
  ['runtime/agent/a.ts', `let b: typeof import('../server/b.ts');`],
  ['runtime/server/api/a.ts', `import { b } from '../../workloadapi/b.ts';`],
  ['runtime/agent/a.ts', `import { b } from '@temporalio/client';`],
  ['runtime/attest/x509pop/a.ts', `import { b } from '@aws-sdk/client-ec2';`],
  ['runtime/elsewhere/a.ts', ''],
  ['activities/a.ts', `import { b } from '../runtime/server/b.ts';`],
  ['activities/a.ts', `import { b } from '@google-cloud/compute';`],
  ['workflows/a.ts', `import { b } from '../activities/b.ts';`],
  ['workflows/a.ts', `import { b } from 'node:fs';`],
  ['workflows/a.ts', `import type { B } from '../runtime/rpc/b.ts';`],
  ['crossplane/functions/a.ts', `import type { B } from '../../activities/b.ts';`],
  ['lab/a.ts', `import type { B } from '../runtime/spiffe/b.ts';`],
  ['lab/a.ts', `import { b } from '../activities/b.ts';`],
] as const)('the scan finds that %s must not say %s', ([path, text]) => {
  expect(faultsOf(path, text)).toHaveLength(1);
});

test.for([
  ['workflows/a.ts', `import type { B } from '../activities/b.ts'; import { c } from '@temporalio/workflow';`],
  ['runtime/server/upstream/a.ts', `import { b } from '../../workloadapi/b.ts'; import { c } from '../store/c.ts';`],
  ['runtime/server/a.ts', `import { b } from './upstream/b.ts'; import { c } from '../attest/aws_iid/server.ts';`],
  ['runtime/attest/aws_iid/a.ts', `const { b } = await import('@aws-sdk/client-ec2');`],
] as const)('the scan lets %s say %s', ([path, text]) => {
  expect(faultsOf(path, text)).toEqual([]);
});
