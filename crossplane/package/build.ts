// `npm run package`: the Configuration packages, one for the namespaced kinds and one for the claims, each as an OCI layout under `.espalier/packages/`.
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeLayout } from './oci-layout.ts';

const root = join(import.meta.dirname, '..');

export const packages = { espalier: 'apis', 'espalier-legacy': 'legacy' } as const;

/** What a package says: about itself first, then every definition and composition, in the order of their names. */
export function packageYaml(family: 'apis' | 'legacy'): string {
  const folders = readdirSync(join(root, family), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const files = folders
    .map(({ name }) => name)
    .sort()
    .flatMap((folder) => ['definition.yaml', 'composition.yaml'].map((file) => join(root, family, folder, file)));
  return [join(root, family, 'crossplane.yaml'), ...files].map((path) => readFileSync(path, 'utf8')).join('---\n');
}

export function buildPackages(directory: string): Map<string, string> {
  return new Map(
    Object.entries(packages).map(([name, family]) => {
      const layout = join(directory, name);
      rmSync(layout, { recursive: true, force: true });
      return [name, writeLayout(layout, 'latest', packageYaml(family))];
    }),
  );
}

if (import.meta.main) {
  const directory = join(root, '..', '.espalier', 'packages');
  for (const [name, digest] of buildPackages(directory))
    console.log(`${join('.espalier', 'packages', name)} ${digest}`);
}
