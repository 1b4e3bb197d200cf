import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import type { ArtifactFile } from '../../../workers/pack/artifact.ts';

const module = fileURLToPath(new URL('../../../workers/pack/artifact.ts', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'checkout-'));
const directory = join(root, 'artifacts');
afterAll(() => rmSync(root, { recursive: true }));

/** In a process of its own, as `up` does it. */
async function pack(): Promise<ArtifactFile> {
  const program = `
import { ensureArtifact } from ${JSON.stringify(module)};
console.log(JSON.stringify(ensureArtifact(${JSON.stringify(root)}, ${JSON.stringify(directory)})));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program]);
  return JSON.parse(stdout) as ArtifactFile;
}

describe('the archive of the runtime', () => {
  it('is whole for everybody where several pack at once, and nothing else is left', async () => {
    const launchers = ['spire-server', 'spire-agent', 'spiffe-helper', 'espalier-node'].map((name) => `bin/${name}`);
    const files = {
      ...Object.fromEntries(launchers.map((name) => [name, '#!/bin/sh'])),
      'package-lock.json': '{}',
      'runtime/main.ts': '',
      'proto/gen/a.ts': '',
      'node_modules/@bufbuild/protobuf/package.json': '{}',
      // Long enough for several to be at it.
      'node_modules/node/bin/node': 'espalier'.repeat(2 ** 21),
    };
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    const packed = await Promise.all([pack(), pack(), pack(), pack()]);
    const [{ file, sha256 }] = packed as [ArtifactFile, ...ArtifactFile[]];
    expect(packed).toEqual(packed.map(() => ({ file, sha256 })));
    expect(createHash('sha256').update(readFileSync(file)).digest('hex')).toBe(sha256);
    expect(readdirSync(directory).map((name) => join(directory, name))).toEqual([file, `${file}.sha256`]);
  });
});
