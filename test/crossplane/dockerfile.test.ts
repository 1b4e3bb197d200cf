// The images have what their programs need, and no more than they say: their COPY lines are done here, and the programs run on what those bring.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const images = [
  {
    file: 'crossplane/functions/Dockerfile',
    runs: [{ command: ['node', 'crossplane/functions/main.ts'], says: 'function: no certificates', code: 2 }],
  },
  {
    file: 'runtime/Dockerfile',
    runs: ['server', 'agent'].map((name) => ({
      command: [`bin/spire-${name}`, 'run', '-config', 'nowhere.conf'],
      says: 'nowhere.conf',
      code: 1,
    })),
  },
];

describe.each(images)('$file', ({ file, runs }) => {
  const dockerfile = readFileSync(join(root, file), 'utf8');
  const lines = (instruction: string): string[] =>
    [...dockerfile.matchAll(new RegExp(`^${instruction} (.*)$`, 'gm'))].map(([, rest]) => rest!);
  let image: string;

  beforeAll(() => {
    image = mkdtempSync(join(tmpdir(), 'image-'));
    for (const line of lines('COPY')) {
      const words = line.split(' ');
      const target = words.pop()!;
      for (const source of words)
        cpSync(join(root, source), join(image, target.endsWith('/') ? join(target, basename(source)) : target), {
          recursive: true,
        });
    }
    symlinkSync(join(root, 'node_modules'), join(image, 'node_modules'));
  });
  afterAll(() => {
    rmSync(image, { recursive: true });
  });

  it.each(runs)('runs $command', ({ command: [program, ...parameters], says, code }) => {
    const path = program === 'node' ? process.execPath : join(image, program!);
    const { status, stderr, stdout } = spawnSync(path, parameters, {
      cwd: image,
      env: { PATH: process.env['PATH'] },
      encoding: 'utf8',
    });
    expect(stderr + stdout).toContain(says);
    expect(status).toBe(code);
  });

  it('needs no package that is there for development only', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
    const search = [
      '-rhoE',
      "^(import|export|\\}) .*from '[@a-z][^']*'",
      image,
      '--include=*.ts',
      '--exclude-dir=node_modules',
    ];
    const text = execFileSync('grep', search, { encoding: 'utf8' });
    const packages = new Set([...text.matchAll(/from '(?!node:)((?:@[^/']+\/)?[^/']+)/g)].map(([, name]) => name));
    expect(packages.size).toBeGreaterThan(1);
    expect(Object.keys(dependencies)).toEqual(expect.arrayContaining([...packages]));
  });

  it('does not run as root, on the Node that the project runs on', () => {
    expect(lines('USER')).toEqual(['65532:65532']);
    expect(lines('FROM')).toEqual(['node:24-slim']);
  });
});
