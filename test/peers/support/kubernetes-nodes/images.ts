// What a container's root file system has in place of an image: this machine's own programs and libraries, only to be read, and over them what deploy's
// Dockerfile copies. Of its RUN instructions those two that it has are known, of its base images none: no image is built, and no registry is asked.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureArtifact } from '../../../../workers/pack/artifact.ts';
import { output } from '../processes.ts';
import { built, root } from '../programs.ts';
import { postgresImage } from './postgres-image.ts';

/** A file or directory of this machine, and where a container has it. */
export interface Place {
  readonly source: string;
  readonly path: string;
}

export interface Image {
  readonly id: string;
  readonly places: readonly Place[];
  readonly entrypoint: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly user: number;
  readonly group: number;
}

interface Stage {
  readonly workingDirectory: string;
  readonly places: readonly Place[];
  readonly entrypoint: readonly string[];
  readonly user: number;
  readonly group: number;
}

const dockerfile = join(root, 'deploy/docker/Dockerfile');

/** By the names that the manifests have. */
export async function prepareImages(): Promise<ReadonlyMap<string, Image>> {
  const stages = readStages(readFileSync(dockerfile, 'utf8'), await unpackedArchive());
  const image = (name: string): Image => {
    const stage = stages.get(name);
    if (stage === undefined) throw new Error(`${dockerfile} has no stage ${name}`);
    const id = `sha256:${createHash('sha256').update(JSON.stringify(stage)).digest('hex')}`;
    return { ...stage, id, environment: {} };
  };
  return new Map([
    ['espalier-runtime:0.1.0', image('runtime')],
    ['espalier-control-plane:0.1.0', image('control-plane')],
    ['docker.io/library/postgres:17.6', postgresImage()],
  ]);
}

/** The archive of the runtime, as the Dockerfile packs it. */
async function unpackedArchive(): Promise<string> {
  const { file, sha256 } = ensureArtifact(root, join(built, 'artifact'));
  const directory = join(built, 'artifact', sha256);
  if (existsSync(directory)) return directory;
  mkdirSync(join(built, 'artifact'), { recursive: true });
  const unfinished = mkdtempSync(`${directory}-`);
  await output('tar', ['-xzf', file, '-C', unfinished]);
  await output('chmod', ['0755', unfinished]);
  try {
    renameSync(unfinished, directory);
  } catch {
    rmSync(unfinished, { recursive: true }); // another test has been quicker
  }
  return directory;
}

function readStages(text: string, archive: string): ReadonlyMap<string, Stage> {
  const stages = new Map<string, Stage>();
  let name = '';
  const change = (more: Partial<Stage>): void => void stages.set(name, { ...stages.get(name)!, ...more });
  const add = (...places: Place[]): void => change({ places: [...stages.get(name)!.places, ...places] });
  for (const line of text.split('\n').filter((one) => one !== '' && !one.startsWith('#'))) {
    const [instruction = '', ...words] = line.split(' ');
    const stage = stages.get(name);
    if (instruction === 'FROM') {
      const empty: Stage = { workingDirectory: '/', places: [], entrypoint: [], user: 0, group: 0 };
      name = words[2] ?? '';
      stages.set(name, stages.get(words[0] ?? '') ?? empty);
    } else if (instruction === 'WORKDIR') change({ workingDirectory: words[0] ?? '' });
    else if (instruction === 'ENTRYPOINT') change({ entrypoint: JSON.parse(words.join(' ')) as string[] });
    else if (instruction === 'USER') {
      const [user, group] = (words[0] ?? '').split(':').map(Number);
      change({ user: user ?? 0, group: group ?? 0 });
    } else if (instruction === 'COPY') add(...copied(words, stage!, archive));
    else if (line.startsWith('RUN npm install --omit=dev '))
      add({ source: join(root, 'node_modules'), path: `${stage!.workingDirectory}/node_modules` });
    else if (!line.startsWith('RUN node workers/pack.ts && mkdir /archive ') && instruction !== 'EXPOSE')
      throw new Error(`${dockerfile}: nothing stands in for ${line}`);
  }
  return stages;
}

function copied(words: readonly string[], { workingDirectory }: Stage, archive: string): Place[] {
  if (words[0] === '--from=archive') return [{ source: archive, path: words[2] ?? '' }];
  const target = words.at(-1) ?? '';
  return words.slice(0, -1).map((source) => {
    const path = target.endsWith('/') ? join(target, source) : target;
    return { source: join(root, source), path: join(workingDirectory, path) };
  });
}
