// The archive of the runtime: server, agent, launchers, the packages that they import, and Node itself. Made again only when its inputs changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { packagesOf } from './packages.ts';
import { digestSources } from './sources.ts';

export interface ArtifactFile {
  readonly file: string;
  readonly sha256: string;
}

const digestSuffix = '.sha256';
const keptArchives = 3;
const launchers = ['spire-server', 'spire-agent', 'spiffe-helper', 'espalier-node'];

/** `root` is the checkout, `directory` where archives are kept. */
export function ensureArtifact(root: string, directory: string): ArtifactFile {
  mkdirSync(directory, { recursive: true });
  const inputs = digestSources(
    root,
    ['runtime', 'proto/gen'],
    launchers.map((name) => `bin/${name}`),
  );
  const file = join(directory, `espalier-${inputs}.tar.gz`);
  const digestFile = `${file}${digestSuffix}`;
  if (!existsSync(digestFile)) {
    pack(root, directory, file);
    const unfinished = `${digestFile}.${process.pid}`;
    writeFileSync(unfinished, createHash('sha256').update(readFileSync(file)).digest('hex'));
    renameSync(unfinished, digestFile);
    removeOld(directory);
  }
  return { file, sha256: readFileSync(digestFile, 'utf8') };
}

function pack(root: string, directory: string, file: string): void {
  const staging = mkdtempSync(join(directory, 'staging-')); // another `up` may be packing too
  chmodSync(staging, 0o755);
  mkdirSync(join(staging, 'bin'), { recursive: true });
  for (const name of launchers) cpSync(join(root, 'bin', name), join(staging, 'bin', name));
  cpSync(join(root, 'runtime'), join(staging, 'runtime'), { recursive: true });
  cpSync(join(root, 'proto/gen'), join(staging, 'proto/gen'), { recursive: true });
  writeFileSync(
    join(staging, 'package.json'),
    JSON.stringify({ name: 'espalier-runtime', private: true, type: 'module' }),
  );
  cpSync(join(root, 'node_modules/node/bin/node'), join(staging, 'node/bin/node'));
  for (const name of packagesOf(root, join(root, 'runtime'))) {
    cpSync(join(root, 'node_modules', name), join(staging, 'node_modules', name), {
      recursive: true,
      filter: isNeeded,
    });
  }
  // The same inputs give the same bytes: names in order, no times, no owners.
  const tar = [
    '--sort=name',
    '--mtime=@0',
    '--owner=0',
    '--group=0',
    '--numeric-owner',
    '--use-compress-program=gzip -n -1',
  ];
  const unfinished = `${staging}.tar.gz`;
  const made = spawnSync('tar', [...tar, '-cf', unfinished, '-C', staging, '.'], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`tar failed: ${made.error?.message ?? made.stderr}`);
  renameSync(unfinished, file);
  rmSync(staging, { recursive: true });
}

/** Declarations, source maps and other platforms' binaries run nowhere. */
function isNeeded(path: string): boolean {
  if (/\.(d\.[cm]?ts|map|md)$/.test(path) || path.endsWith('/node_modules/.bin')) return false;
  const platform = /\/koffi\/build\/koffi\/([a-z0-9_]+)/.exec(path)?.[1];
  return platform === undefined || platform === `${process.platform}_${process.arch}`;
}

/** The newest few stay: a bootstrap that runs goes on with the archive that its plan names, whatever the checkout has become. */
function removeOld(directory: string): void {
  const now = Date.now();
  // What another has taken away meanwhile is not old.
  const age = (name: string) => now - (statSync(join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? now);
  for (const name of readdirSync(directory))
    if (name.startsWith('staging') && age(name) > 3_600_000)
      rmSync(join(directory, name), { recursive: true, force: true });
  const byAge = readdirSync(directory)
    .filter((name) => name.endsWith(digestSuffix))
    .map((name) => ({ name, age: age(name) }))
    .sort((a, b) => a.age - b.age);
  for (const { name } of byAge.slice(keptArchives)) {
    rmSync(join(directory, name), { force: true });
    rmSync(join(directory, name.slice(0, -digestSuffix.length)), { force: true });
  }
}

/** The archive with this digest, when it is among those kept. */
export function findArtifact(directory: string, sha256: string): string | undefined {
  const found = readdirSync(directory)
    .filter((name) => name.endsWith(digestSuffix))
    .find((name) => readFileSync(join(directory, name), 'utf8') === sha256);
  return found === undefined ? undefined : join(directory, found.slice(0, -digestSuffix.length));
}
