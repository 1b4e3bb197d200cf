// The worker's own identity on disk: the key is made once, is ours alone, and stays where it was made.
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureWorkerKey, removeWorkerFiles, writeAgentConfig } from '../../../activities/control/worker-identity.ts';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { parseCertificate } from '../../../runtime/pki/certificate.ts';
import { certificatesFromPem } from '../../../runtime/pki/pem.ts';
import { verifyChain } from '../../../runtime/pki/verify-chain.ts';
import { findSecrets } from '../../replay/secret-shapes.ts';

const now = Date.now();
let parent: string;
let directory: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'espalier-worker-'));
  directory = join(parent, 'agent');
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

const options = () => ({
  directory,
  socketPath: '/run/espalier/api.sock',
  selectors: ['unix:uid:0', "unix:path:/it's here"],
  clock: () => now,
});
const read = (file: string): string => readFileSync(join(directory, file), 'utf8');
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);
const certificateIn = (pem: string) => parseCertificate(certificatesFromPem(pem)[0]!);

describe('ensureWorkerKey', () => {
  it('answers what the upstream needs to know of this node', async () => {
    const node = await ensureWorkerKey(options(), 'example.org');
    const [leaf] = certificatesFromPem(read('certificate.pem'));
    expect(node).toEqual({
      certificatePem: read('authority.pem'),
      agentId: `spiffe://example.org/spire/agent/x509pop/${createHash('sha1').update(leaf!).digest('hex')}`,
      spiffeId: 'spiffe://example.org/prod/onprem/platform/temporal-worker',
      selectors: ['unix:uid:0', "unix:path:/it's here"],
    });
  });

  it('keeps the key to its owner', async () => {
    await ensureWorkerKey(options(), 'example.org');
    expect(modeOf(directory)).toBe('700');
    expect(modeOf(join(directory, 'key.pem'))).toBe('600');
  });

  it('keeps three files and nothing of the authority’s key', async () => {
    await ensureWorkerKey(options(), 'example.org');
    expect(readdirSync(directory).sort()).toEqual(['authority.pem', 'certificate.pem', 'key.pem']);
    const keys = readdirSync(directory).filter((file) => read(file).includes('PRIVATE KEY'));
    expect(keys).toEqual(['key.pem']);
    const authority = certificateIn(read('authority.pem'));
    const keyOf = createPublicKey(createPrivateKey(read('key.pem')));
    expect(keyOf.equals(authority.publicKey)).toBe(false);
  });

  it('makes a certificate of that key, which its authority vouches for', async () => {
    await ensureWorkerKey(options(), 'example.org');
    const [leaf, authority] = [certificateIn(read('certificate.pem')), certificateIn(read('authority.pem'))];
    expect(createPublicKey(createPrivateKey(read('key.pem'))).equals(leaf.publicKey)).toBe(true);
    expect(verifyChain({ leaf, intermediates: [], roots: [authority], now }).map(({ der }) => der)).toEqual([
      leaf.der,
      authority.der,
    ]);
  });

  it('makes it once', async () => {
    const first = await ensureWorkerKey(options(), 'example.org');
    const key = read('key.pem');
    expect(await ensureWorkerKey({ ...options(), clock: () => now + 1_000_000 }, 'example.org')).toEqual(first);
    expect(read('key.pem')).toBe(key);
  });

  it('starts anew where it was interrupted: half of a pair serves nobody', async () => {
    await ensureWorkerKey(options(), 'example.org');
    rmSync(join(directory, 'authority.pem'));
    const { certificatePem } = await ensureWorkerKey(options(), 'example.org');
    const [leaf, authority] = [certificateIn(read('certificate.pem')), certificateIn(certificatePem)];
    expect(verifyChain({ leaf, intermediates: [], roots: [authority], now })).toHaveLength(2);
    expect(createPublicKey(createPrivateKey(read('key.pem'))).equals(leaf.publicKey)).toBe(true);
  });

  it('hands out nothing that a history must not keep', async () => {
    const node = await ensureWorkerKey(options(), 'example.org');
    const attributes = { result: { payloads: [payload(node)] } };
    const event = { eventId: '1', eventType: 'x', activityTaskCompletedEventAttributes: attributes };
    expect(findSecrets({ events: [event] })).toEqual([]);
    expect(JSON.stringify(node)).not.toContain(read('key.pem').split('\n')[1]);
  });
});

describe('writeAgentConfig', () => {
  const settings = { trustDomain: 'example.org', serverAddress: '127.77.1.2', bundlePem: 'the bundle\n' };

  it('writes what an agent needs to attest with that key', async () => {
    await writeAgentConfig(options(), settings);
    expect(parseHcl(read('agent.conf'))).toEqual({
      agent: [
        {
          data_dir: `${directory}/data`,
          log_level: 'info',
          trust_domain: 'example.org',
          server_address: '127.77.1.2',
          server_port: 8081,
          socket_path: '/run/espalier/api.sock',
          trust_bundle_path: `${directory}/bundle.pem`,
        },
      ],
      plugins: [
        {
          NodeAttestor: [
            {
              x509pop: [
                {
                  plugin_data: [
                    { private_key_path: `${directory}/key.pem`, certificate_path: `${directory}/certificate.pem` },
                  ],
                },
              ],
            },
          ],
          KeyManager: [{ disk: [{ plugin_data: [{ directory: `${directory}/data` }] }] }],
          WorkloadAttestor: [{ unix: [{ plugin_data: [{ discover_workload_path: true }] }] }],
        },
      ],
    });
    expect(read('bundle.pem')).toBe('the bundle\n');
    expect(modeOf(join(directory, 'data'))).toBe('700');
  });

  it('leaves a configuration alone that says the same: its agent need not start again', async () => {
    await writeAgentConfig(options(), settings);
    const before = statSync(join(directory, 'agent.conf')).ino;
    await writeAgentConfig(options(), { ...settings, bundlePem: 'another\n' });
    expect(statSync(join(directory, 'agent.conf')).ino).toBe(before);
    await writeAgentConfig(options(), { ...settings, serverAddress: '127.77.1.3' });
    expect(statSync(join(directory, 'agent.conf')).ino).not.toBe(before);
  });
});

describe('removeWorkerFiles', () => {
  it('leaves nothing, and is content with nothing', async () => {
    await ensureWorkerKey(options(), 'example.org');
    await writeAgentConfig(options(), { trustDomain: 'example.org', serverAddress: '127.0.0.1', bundlePem: '' });
    await removeWorkerFiles(options());
    expect(existsSync(directory)).toBe(false);
    await removeWorkerFiles(options());
  });
});

function payload(value: unknown) {
  return {
    metadata: { encoding: Buffer.from('json/plain').toString('base64') },
    data: Buffer.from(JSON.stringify(value)).toString('base64'),
  };
}
