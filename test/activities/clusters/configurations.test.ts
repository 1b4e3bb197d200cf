// What the programs of a cluster are told: taken by our own programs without a word of warning, and as the specification wants it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  clusterAgentConfig,
  clusterServerConfig,
  upstreamAgentConfigText,
} from '../../../activities/clusters/configurations.ts';
import { planned } from './clusters.ts';

const root = join(import.meta.dirname, '../../..');
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'clusters-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const { plan, cluster } = planned({ intermediateTtl: '24h' });
const server = clusterServerConfig(plan, cluster, '10.1.0.2');

describe('a configuration', () => {
  it.each([
    ['spire-server', 'server', server],
    ['spire-agent', 'upstream-agent', upstreamAgentConfigText(plan, '10.1.0.2:443')],
    ['spire-agent', 'agent', clusterAgentConfig(plan, cluster)],
  ])('of %s as %s is taken without a word of warning', (program, name, text) => {
    const path = join(directory, `${name}.conf`);
    writeFileSync(path, text);
    const { status, stdout, stderr } = spawnSync(
      join(root, 'bin', program),
      ['validate', '-expandEnv', '-config', path],
      {
        encoding: 'utf8',
        env: { ...process.env, DATABASE_PASSWORD: 'x', METRICS_HOST: '127.0.0.1', POD_NAME: 'spire-server-0' },
      },
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toContain('configuration file is valid');
  });

  it('of a server has the lifetimes, the administrator and the cluster of its plan', () => {
    for (const line of [
      'trust_domain = "example.org"',
      'ca_ttl = "24h"',
      'default_x509_svid_ttl = "1h"',
      'ttl_lattice = "enforce"',
      'admin_ids = ["spiffe://example.org/prod/onprem/platform/temporal-worker"]',
      'service_account_allow_list = ["spire-system:spire-agent"]',
      'server_address = "10.1.0.2"',
      'server_port = "8081"',
    ])
      expect(server).toContain(line);
    expect(server.match(/"shop" = \{/g)).toHaveLength(2);
  });

  it('says the upstream’s port where it has another', () => {
    expect(clusterServerConfig(plan, cluster, '10.1.0.2:443')).toContain('server_port = "443"');
    expect(upstreamAgentConfigText(plan, '[fd00::1]:443')).toContain('server_address = "fd00::1"\n  server_port = 443');
  });
});
