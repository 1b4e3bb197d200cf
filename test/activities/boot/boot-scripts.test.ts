// Boot scripts: whole, compared with files that people can read; and run, on a machine of stand-ins, to see what they leave.
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nodeBootScript } from '../../../activities/boot/node.ts';
import { serverBootScript } from '../../../activities/boot/server.ts';
import { quote } from '../../../activities/boot/shell.ts';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { expandEnv } from '../../../runtime/hcl/expand-env.ts';
import { findSecrets } from '../../replay/secret-shapes.ts';
import { artifact, downstream, node, realDownstream, scripts, upstream, upstreamOnDisk } from './boots.ts';
import { createMachine } from './machine.ts';
import type { Machine } from './machine.ts';

const names = Object.keys(scripts);

describe('boot scripts', () => {
  it.each(names)('%s is what it was', async (name) => {
    await expect(scripts[name]!()).toMatchFileSnapshot(`golden/${name}.sh`);
  });

  it.each(names)('%s is POSIX sh', (name) => {
    const { status, stderr } = spawnSync('sh', ['-n'], { input: scripts[name]!(), encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });

  it.each(names)('%s holds nothing secret', (name) => {
    const data = Buffer.from(JSON.stringify(scripts[name]!())).toString('base64');
    const payloads = [{ metadata: { encoding: Buffer.from('json/plain').toString('base64') }, data }];
    expect(findSecrets({ events: [{ eventId: '1', eventType: 'x', given: { payloads } }] })).toEqual([]);
  });

  it.each(names)('%s fits into the user data of EC2', (name) => {
    expect(Buffer.byteLength(scripts[name]!())).toBeLessThan(16_384);
  });
});

describe('quote', () => {
  const hostile = [
    ...['', ' ', "it's", `'`, `''`, '"', '$HOME', '$(touch made)', '`touch made`', '; touch made', 'a\nb', '\\', "\\'"],
    ...['-n', '*', '~', '!!', '#', '&', '|', '\t', 'END_OF_FILE', '${DATABASE_URL}', 'naïve ✓'],
  ];
  it.each(hostile)('makes one word of %j', (word) => {
    const { stdout } = spawnSync('sh', ['-c', `printf '%s.' ${quote(word)}`], { encoding: 'utf8' });
    expect(stdout).toBe(`${word}.`);
  });
});

describe('a machine that booted', () => {
  let machine: Machine;
  beforeEach(() => {
    machine = createMachine();
  });
  afterEach(() => machine.remove());
  const serverConf = () => machine.read('etc/spire/server/server.conf');

  it('as an upstream has a configuration that a server reads', () => {
    machine.boot(serverBootScript(upstream));
    const { server, plugins } = parseHcl(serverConf()) as Record<string, Record<string, unknown>[]>;
    expect(server?.[0]).toMatchObject({
      bind_address: '127.77.1.9',
      bind_port: 8081,
      trust_domain: 'example.org',
      data_dir: `${machine.root}/var/lib/spire/server`,
      ca_ttl: '8760h',
      admin_ids: ['spiffe://example.org/prod/onprem/platform/temporal-worker'],
      ca_subject: [{ country: ['US'], organization: ['SPIFFE'], common_name: 'upstream-0' }],
    });
    expect(Object.keys(plugins?.[0] ?? {})).toEqual(['DataStore', 'KeyManager', 'NodeAttestor']);
    expect(plugins?.[0]?.['NodeAttestor']).toEqual([
      {
        aws_iid: [
          {
            plugin_data: [
              {
                region_certificates: [{ 'us-east-1': `${machine.root}/etc/spire/server/aws-us-east-1.pem` }],
                web_identity: [
                  { role_arn: 'arn:aws:iam::000000000077:role/espalier-bfabc374-attestor', audience: 'espalier' },
                ],
              },
            ],
          },
        ],
      },
      {
        gcp_iit: [
          {
            plugin_data: [
              { projectid_allow_list: ['espalier-lab'], certificates_url: 'http://127.77.0.1:1/certificates' },
            ],
          },
        ],
      },
      { x509pop: [{ plugin_data: [{ ca_bundle_path: `${machine.root}/etc/spire/server/worker-ca.pem` }] }] },
    ]);
  });

  it('as an upstream of clusters knows their servers too, by the one x509pop that a server has', () => {
    const clusterNodes = '-----BEGIN CERTIFICATE-----\nnodesofshop\n-----END CERTIFICATE-----\n';
    machine.boot(serverBootScript({ ...upstream, clusterNodes }));
    const files = ['worker-ca.pem', 'cluster-nodes-ca.pem'].map((name) => `${machine.root}/etc/spire/server/${name}`);
    expect(serverConf()).toContain(`x509pop" { plugin_data { ca_bundle_paths = ["${files.join('", "')}"] } }`);
    expect(machine.read('etc/spire/server/cluster-nodes-ca.pem')).toBe(clusterNodes);
    expect(machine.read('etc/spire/server/worker-ca.pem')).not.toContain('nodesofshop');
  });

  it('leaves the address of the database to the environment of the server', () => {
    machine.boot(serverBootScript(upstream));
    const connectionOf = (text: string): unknown =>
      (
        parseHcl(text) as Record<
          string,
          Record<string, Record<string, Record<string, Record<string, unknown>[]>[]>[]>[]
        >
      )['plugins']?.[0]?.['DataStore']?.[0]?.['sql']?.[0]?.['plugin_data']?.[0]?.['connection_string'];
    expect(serverConf()).toContain('connection_string = "${DATABASE_URL}"');
    expect(connectionOf(expandEnv(serverConf(), { DATABASE_URL: 'postgres://h/d' }))).toBe('postgres://h/d');
    expect(machine.calls('espalier-node')).toContainEqual([
      ...['secret', '--cloud', 'gcp', '--name', 'espalier-bfabc374-upstream-database'],
      ...['--file', `${machine.root}/etc/spire/server/database.env`],
    ]);
  });

  it('below a root that is not ours reads its authority from the secret store, before the server starts', () => {
    machine.boot(serverBootScript(upstreamOnDisk));
    const directory = `${machine.root}/etc/spire/server/authority`;
    const command = ['authority', '--cloud', 'gcp', '--prefix', 'espalier-bfabc374-upstream-authority'];
    const asked = machine.calls('espalier-node').map(([first]) => first);
    expect(machine.calls('espalier-node')).toContainEqual([...command, '--directory', directory]);
    expect(asked.indexOf('authority')).toBeLessThan(asked.indexOf('wait-ready'));
    const unit = machine.read('etc/systemd/system/upstream-authority.service');
    expect(unit).toContain(`espalier-node ${command.join(' ')} --directory ${directory} --every 30s\n`);
    const { plugins } = parseHcl(serverConf()) as Record<string, Record<string, unknown>[]>;
    expect(plugins?.[0]?.['UpstreamAuthority']).toEqual([
      {
        disk: [
          {
            plugin_data: [
              {
                cert_file_path: `${directory}/certificate.pem`,
                key_file_path: `${directory}/key.pem`,
                bundle_file_path: `${directory}/bundle.pem`,
              },
            ],
          },
        ],
      },
    ]);
  });

  it('makes the worker’s entry with the selectors as they are, and shows its digest last', () => {
    const selectors = ['unix:uid:0', "unix:path:/it's $(touch made) `touch made`"];
    machine.boot(serverBootScript({ ...upstream, worker: { ...upstream.worker!, selectors } }));
    const create = machine.calls('node').find((words) => words.includes('create'));
    expect(create?.slice(1)).toEqual([
      ...['entry', 'create', '-parentID', 'spiffe://example.org/spire/agent/x509pop/0a'],
      ...['-spiffeID', 'spiffe://example.org/prod/onprem/platform/temporal-worker'],
      ...['-selector', selectors[0], '-selector', selectors[1]],
      ...['-socketPath', `${machine.root}/run/spire-server/private/api.sock`],
    ]);
    expect(machine.exists('made')).toBe(false);
    expect(machine.calls('espalier-node').at(-1)?.[0]).toBe('bundle-digest');
  });

  it('takes no name for a command', () => {
    const name = "x'; touch made; '$(touch made)`touch made`";
    machine.boot(serverBootScript({ ...upstream, databaseSecret: name }));
    expect(machine.calls('espalier-node').find(([command]) => command === 'secret')?.[4]).toBe(name);
    expect(machine.exists('made')).toBe(false);
  });

  it('as a downstream runs an agent of the upstream beside the server', () => {
    machine.boot(serverBootScript(downstream));
    expect(parseHcl(machine.read('etc/spire/agent/agent.conf'))['agent']).toMatchObject([
      { trust_domain: 'example.org', server_address: '127.77.2.1', server_port: 8081 },
    ]);
    expect(machine.read('etc/spire/agent/bundle.pem')).toBe(downstream.upstream?.bundlePem);
    expect(serverConf()).toContain('UpstreamAuthority "spire"');
    expect(machine.calls('systemctl')).toEqual([
      ...[['daemon-reload'], ['enable', 'spire-agent'], ['restart', 'spire-agent']],
      ...[['daemon-reload'], ['enable', 'spire-server'], ['restart', 'spire-server']],
    ]);
  });

  it('on a real cloud limits attestation and names nothing of the lab', () => {
    machine.boot(serverBootScript(realDownstream));
    expect(serverConf()).toContain('ratelimit { attestation = true }');
    expect(serverConf()).not.toContain('certificates');
  });

  it('as a node runs its workloads, each by a program of its own', () => {
    machine.boot(nodeBootScript(node));
    const unit = machine.read('etc/systemd/system/workload-a.service').split('\n');
    expect(unit.filter((line) => /^(?:ExecStart|Environment="(?:SPIFFE|WORKLOAD)_)/.test(line))).toEqual([
      `Environment="SPIFFE_ENDPOINT_SOCKET=unix://${machine.root}/run/spire-agent/public/api.sock"`,
      'Environment="WORKLOAD_LISTEN=127.77.1.9:9443"',
      'Environment="WORKLOAD_CONTROL=127.77.1.9:9444"',
      `Environment="WORKLOAD_PEERS=${node.workloads[0]?.peers.join(',') ?? ''}"`,
      `Environment="WORKLOAD_OPERATORS=${node.workloads[0]?.operators.join(',') ?? ''}"`,
      `ExecStart=${machine.root}/image/opt/demo/workload-a ${machine.root}/opt/espalier/${artifact.sha256}/runtime/demo/workload.ts`,
    ]);
    expect(machine.exists('image/opt/demo/workload-a')).toBe(true);
  });

  it.each(names)('as %s boots again and is as it was', (name) => {
    const tree = (): string =>
      spawnSync('sh', ['-c', 'cat $(find etc -type f | sort)'], { cwd: machine.root, encoding: 'utf8' }).stdout;
    machine.boot(scripts[name]!());
    const first = tree();
    machine.boot(scripts[name]!());
    expect(tree()).toBe(first);
    expect(first).toContain('example.org');
    expect(spawnSync('find', ['.', '-name', '*.new'], { cwd: machine.root, encoding: 'utf8' }).stdout).toBe('');
  });

  it('refuses a runtime whose digest is another', () => {
    spawnSync('rm', ['-rf', `${machine.root}/opt/espalier`]);
    spawnSync(
      'sh',
      [
        '-c',
        `printf '#!/bin/sh\\nwhile [ "$1" != -o ]; do shift; done; echo other > "$2"\\n' > bin/curl; chmod +x bin/curl`,
      ],
      { cwd: machine.root },
    );
    expect(() => machine.boot(nodeBootScript(node))).toThrow(`the runtime archive's digest is not ${artifact.sha256}`);
    expect(machine.calls('systemctl')).toEqual([]);
  });
});
