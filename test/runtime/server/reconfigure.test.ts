// Plugins that read their data again: x509pop with another CA, from files as an operator changes them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { createLog } from '../../../runtime/log.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { loadPluginData } from '../../../runtime/server/config/load-config.ts';
import { parseServerConfig } from '../../../runtime/server/config/server-config.ts';
import { createReloadableAttestors } from '../../../runtime/server/reconfigure.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { createFakeAuthority } from '../../support/fake-authority.ts';

let directory: string;
let lines: string[];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'reconfigure-'));
  for (const name of ['a', 'b']) {
    await writeFile(
      join(directory, `${name}.pem`),
      certificatesToPem(createFakeAuthority(parseTrustDomain(`${name}.org`)).roots()),
    );
  }
});
afterAll(() => rm(directory, { recursive: true }));
beforeEach(() => {
  lines = [];
});

const write = (name: string, text: string) => writeFile(join(directory, name), text);
const level = (line: string) => /level=(\w+) msg=("[^"]*"|\S+)/.exec(line)?.slice(1);

async function open() {
  await write('x509pop.conf', `ca_bundle_path = "${directory}/a.pem"`);
  await write('keys.conf', 'keys_path = "/keys.json"');
  const text = `
    server { trust_domain = "example.org" data_dir = "/data" }
    plugins {
      DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "postgres://a/b" } }
      KeyManager "disk" { plugin_data_file = "${directory}/keys.conf" }
      NodeAttestor "x509pop" { plugin_data_file = "${directory}/x509pop.conf" }
    }`;
  const config = parseServerConfig(parseHcl(text), {}, loadPluginData);
  const log = createLog({ level: 'info', format: 'text', write: (line) => lines.push(line) });
  const { attestors, reconfigure } = createReloadableAttestors({
    config,
    load: loadPluginData,
    log,
    clock: Date.now,
    x509Authorities: () => Promise.resolve([]),
  });
  return { attestors, reconfigure };
}

test('files that did not change change nothing', async () => {
  const { attestors, reconfigure } = await open();
  reconfigure();
  expect(lines).toEqual([]);
  expect(attestors.map(({ type }) => type)).toEqual(['x509pop']);
});

test('a changed file is taken up, once', async () => {
  const { reconfigure } = await open();
  await write('x509pop.conf', `ca_bundle_path = "${directory}/b.pem"`);
  reconfigure();
  reconfigure();
  expect(lines.map(level)).toEqual([['info', '"Plugin reconfigured"']]);
  await write('x509pop.conf', `ca_bundle_path = "${directory}/a.pem"`);
  reconfigure();
  expect(lines).toHaveLength(2);
});

test.each([
  ['is no HCL', 'ca_bundle_path = '],
  ['asks for what is not there', 'ca_bundle_path = "/nonexistent.pem"'],
  ['has an unknown key', `ca_bundle_path = "/x" nonsense = true`],
])('a file that %s leaves the plugin as it was', async (_what, text) => {
  const { attestors, reconfigure } = await open();
  await write('x509pop.conf', text);
  reconfigure();
  expect(lines.map(level)).toEqual([['error', '"Failed to reconfigure plugin"']]);
  expect(lines[0]).toContain('plugin_name=x509pop');
  const evidence = Buffer.from('{}');
  const call = async () => attestors[0]!.attest(evidence, () => Promise.reject(new Error('no challenge')), {} as never);
  await expect(call()).rejects.toMatchObject({ name: 'AttestError' });
});

test('a key manager says that it needs a restart', async () => {
  const { reconfigure } = await open();
  await write('keys.conf', 'keys_path = "/other.json"');
  reconfigure();
  expect(lines.map(level)).toEqual([['warning', '"Plugin cannot be reconfigured while the server runs: restart it"']]);
});
