// Which packages the runtime needs: those that its files import, and what these depend on in turn.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const manifestSchema = z.object({
  dependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
});

/** Names of packages in `<root>/node_modules`, sorted; throws where one that is imported is not installed. */
export function packagesOf(root: string, folder: string): string[] {
  const needed = new Set<string>();
  const add = (name: string, optional: boolean): void => {
    if (needed.has(name)) return;
    const manifest = join(root, 'node_modules', name, 'package.json');
    if (!existsSync(manifest)) {
      if (optional) return;
      throw new Error(`package ${name} is not installed`);
    }
    needed.add(name);
    const { dependencies, optionalDependencies } = manifestSchema.parse(JSON.parse(readFileSync(manifest, 'utf8')));
    for (const dependency of Object.keys(dependencies)) add(dependency, false);
    for (const dependency of Object.keys(optionalDependencies)) add(dependency, true);
  };
  for (const name of importedBy(folder)) add(name, false);
  return [...needed].sort();
}

const specifier = /(?:from|import\()\s*'((?:@[^/']+\/)?[^./'][^/']*)[^']*'/g;

function importedBy(folder: string): Set<string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  const names = files.flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(specifier)].map(([, name]) => name ?? ''),
  );
  // The generated code's own import is of the same kind.
  return new Set(['@bufbuild/protobuf', ...names].filter((name) => name !== '' && !name.startsWith('node:')));
}
