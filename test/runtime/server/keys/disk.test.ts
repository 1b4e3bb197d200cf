import { chmodSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verify } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyTypes } from '../../../../runtime/pki/key-type.ts';
import { openDiskKeyManager } from '../../../../runtime/server/keys/disk.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'espalier-keys-'));
  path = join(directory, 'keys.json');
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

const modeOf = (file: string) => statSync(file).mode & 0o777;

test('a key is the same after a restart, and signs', async () => {
  const made = await (await openDiskKeyManager({ path })).generateKey('x509-CA-A', 'ec-p256');
  const found = (await openDiskKeyManager({ path })).getKey('x509-CA-A');
  expect(found?.type).toBe('ec-p256');
  expect(found?.publicKey.equals(made.publicKey)).toBe(true);
  const data = Buffer.from('data');
  expect(verify('sha256', data, made.publicKey, found?.signer.sign(data) ?? data)).toBe(true);
});

test.each(keyTypes)('keeps %s', async (type) => {
  await (await openDiskKeyManager({ path })).generateKey('a', type);
  expect((await openDiskKeyManager({ path })).getKey('a')?.type).toBe(type);
});

test('keys made at once are all kept', async () => {
  const keys = await openDiskKeyManager({ path });
  const ids = ['a', 'b', 'c', 'd', 'e'];
  await Promise.all(ids.map((id) => keys.generateKey(id, 'ec-p256')));
  expect(
    (await openDiskKeyManager({ path }))
      .listKeys()
      .map(({ id }) => id)
      .sort(),
  ).toEqual(ids);
});

test('the file is in the format of SPIRE: ids with PKCS#8 in base64', async () => {
  await (await openDiskKeyManager({ path })).generateKey('x509-CA-A', 'ec-p256');
  expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
    keys: { 'x509-CA-A': expect.stringMatching(/^MIGHAgEAMBMG/) as string },
  });
});

describe('the file is 0600', () => {
  test.each([0o000, 0o022, 0o377])('under umask %o, and leaves nothing beside it', async (umask) => {
    const previous = process.umask(umask);
    try {
      await (await openDiskKeyManager({ path })).generateKey('a', 'ec-p256');
    } finally {
      process.umask(previous);
    }
    expect(modeOf(path)).toBe(0o600);
    expect(readdirSync(directory)).toEqual(['keys.json']);
  });

  test('when it was more open before', async () => {
    await (await openDiskKeyManager({ path })).generateKey('a', 'ec-p256');
    chmodSync(path, 0o644);
    await openDiskKeyManager({ path });
    expect(modeOf(path)).toBe(0o600);
  });
});

describe('refused is', () => {
  test.each([
    ['a file cut short', '{"keys": {'],
    ['a key that is none', '{"keys": {"a": "c2VjcmV0"}}'],
    ['another document', '{"other": {}}'],
  ])('%s, without a word of its content', async (_, content) => {
    writeFileSync(path, content);
    const error = await openDiskKeyManager({ path }).catch((caught: unknown) => caught);
    expect(error).toEqual(new Error(`keys file ${path} is damaged`));
    expect((error as Error).cause).toBeUndefined();
  });

  test('a key whose file cannot be written', async () => {
    const keys = await openDiskKeyManager({ path: join(directory, 'missing', 'keys.json') });
    await expect(keys.generateKey('a', 'ec-p256')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(keys.getKey('a')).toBeUndefined();
  });
});
