// The archive of the runtime: server, agent, launchers, the packages that they import, and Node itself. Made again only when its inputs changed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packagesOf } from './packages.ts';
import { digestSources } from './sources.ts';

export interface ArtifactFile {
  readonly file: string;
  readonly sha256: string;
}

const launchers = ['spire-server', 'spire-agent', 'espalier-node'];

/** `root` is the checkout, `directory` where archives are kept. */
export function ensureArtifact(root: string, directory: string): ArtifactFile {
  mkdirSync(directory, { recursive: true });
  const inputs = digestSources(
    root,
    ['runtime', 'proto/gen'],
    launchers.map((name) => `bin/${name}`),
  );
  const file = join(directory, `espalier-${inputs}.tar.gz`);
  const digestFile = `${file}.sha256`;
  if (!existsSync(digestFile)) {
    pack(root, directory, file);
    writeFileSync(digestFile, createHash('sha256').update(readFileSync(file)).digest('hex'));
    removeOthers(directory, inputs);
  }
  return { file, sha256: readFileSync(digestFile, 'utf8') };
}

function pack(root: string, directory: string, file: string): void {
  const staging = join(directory, 'staging');
  rmSync(staging, { recursive: true, force: true });
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
  const made = spawnSync('tar', [...tar, '-cf', `${file}.new`, '-C', staging, '.'], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`tar failed: ${made.error?.message ?? made.stderr}`);
  renameSync(`${file}.new`, file);
  rmSync(staging, { recursive: true });
}

/** Declarations, source maps and other platforms' binaries run nowhere. */
function isNeeded(path: string): boolean {
  if (/\.(d\.[cm]?ts|map|md)$/.test(path) || path.endsWith('/node_modules/.bin')) return false;
  const platform = /\/koffi\/build\/koffi\/([a-z0-9_]+)/.exec(path)?.[1];
  return platform === undefined || platform === `${process.platform}_${process.arch}`;
}

function removeOthers(directory: string, inputs: string): void {
  for (const name of readdirSync(directory))
    if (!name.startsWith(`espalier-${inputs}.`)) rmSync(join(directory, name), { recursive: true });
}
