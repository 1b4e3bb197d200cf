// The archives that boot scripts fetch: each by its digest, the older ones of runs that began before the checkout changed too.
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serveArtifact } from '../../../workers/up/artifact-server.ts';
import type { ArtifactServer } from '../../../workers/up/artifact-server.ts';

const directory = mkdtempSync(join(tmpdir(), 'artifact-'));
let server: ArtifactServer;
let older: string;

function write(inputs: string, content: string) {
  const file = join(directory, `espalier-${inputs}.tar.gz`);
  const sha256 = createHash('sha256').update(content).digest('hex');
  writeFileSync(file, content);
  writeFileSync(`${file}.sha256`, sha256);
  return { file, sha256 };
}

beforeAll(async () => {
  older = write('0000', 'of the checkout before').sha256;
  server = await serveArtifact(write('1111', 'of this checkout'), await freePort());
});
afterAll(() => {
  server.close();
  rmSync(directory, { recursive: true });
});

const read = async (path: string, method = 'GET') => {
  const response = await fetch(new URL(path, server.url), { method });
  return { status: response.status, text: await response.text() };
};

test('serves the newest archive at the address that it gives', async () => {
  expect(await read(server.url)).toEqual({ status: 200, text: 'of this checkout' });
});

test('still serves the archive that an older run names', async () => {
  expect(await read(`/espalier-${older}.tar.gz`)).toEqual({ status: 200, text: 'of the checkout before' });
});

test.each([
  ['a digest that no archive has', `/espalier-${'0'.repeat(64)}.tar.gz`],
  ["an archive's name in place of its digest", '/espalier-0000.tar.gz'],
  ['a path out of the directory', '/../espalier-0000.tar.gz'],
])('refuses %s', async (_, path) => {
  expect((await read(path)).status).toBe(404);
});

test('refuses everything but GET', async () => {
  expect((await read(server.url, 'POST')).status).toBe(404);
});

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
