// The program by its command line: what it refuses before it does anything.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { run } from '../../peers/support/processes.ts';

const directory = mkdtempSync(join(tmpdir(), 'registration-'));
afterAll(() => rmSync(directory, { recursive: true }));
const main = join(import.meta.dirname, '../../../workers/registration/main.ts');
const good = join(directory, 'good.yaml');
writeFileSync(good, 'trustDomain: example.org\nserver: { socket: /s }\nclusters: [{ name: demo, mode: crds }]\n');
const bad = join(directory, 'bad.yaml');
writeFileSync(bad, 'trustDomain: Example.org\nserver: { socket: /s }\nclusters: []\n');

it.for([
  [[], 2, 'espalier: --config must name a file\nusage: espalier registration --config'],
  [['--config', good, '--once'], 2, 'espalier: --once is for a dry run\n'],
  [['--config', good, '--accept-loss', 'other'], 2, 'espalier: --accept-loss: other is none of the clusters\n'],
  [['--config', bad], 1, `espalier: ${bad}: the configuration has 2 faults: trustDomain: `],
  [['--config', join(directory, 'none.yaml')], 1, 'no such file'],
  [['--nonsense'], 1, "Unknown option '--nonsense'"],
] as const)('%o ends with %i', async ([words, code, said]) => {
  const ended = await run(process.execPath, [main, ...words]);
  expect([ended.code, ended.stdout]).toEqual([code, '']);
  expect(ended.stderr).toContain(said);
});

it('only reads its configuration where it is told to', async () => {
  expect(await run(process.execPath, [main, '--config', good, '--check-config'])).toEqual({
    code: 0,
    stdout: '',
    stderr: '',
  });
});
