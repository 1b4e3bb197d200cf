// The lab's own network, as root: what instances reach is what the kernel lets them reach, by the rules that the clouds' APIs were given. curl asks, from
// within the namespaces.
import { execFile, execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  ModifyInstanceAttributeCommand,
  RevokeSecurityGroupEgressCommand,
  RevokeSecurityGroupIngressCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import type { IpPermission } from '@aws-sdk/client-ec2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { awsClients, until } from '../lab/support.ts';
import {
  gcp,
  inside,
  namespaceOf,
  reach,
  refusal,
  runEc2,
  runGce,
  startLabProcess,
  traces,
} from './support/namespaced-lab.ts';
import type { Answering, RunningLab } from './support/namespaced-lab.ts';
import { prepareNft } from './support/programs.ts';

await prepareNft();

/** A server of this machine's loopback. */
async function say(word: string): Promise<{ readonly port: number; readonly close: () => void }> {
  const server = createServer((_, response) => response.end(word));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

describe.skipIf(refusal())('the network of a lab with namespaces', () => {
  let lab: RunningLab;
  let told: { readonly port: number; readonly close: () => void };
  let untold: typeof told;
  let client: Answering;
  let server: Answering;
  const groups: Record<'clients' | 'servers', string> = { clients: '', servers: '' };

  const { ec2 } = { ec2: (command: object) => awsClients(lab).ec2.send(command as CreateSecurityGroupCommand) };
  async function createGroup(name: string): Promise<string> {
    const { GroupId = '' } = await ec2(new CreateSecurityGroupCommand({ GroupName: name, Description: name }));
    return GroupId;
  }
  const port = (range: Partial<IpPermission>, from = 9000): IpPermission => ({ IpProtocol: 'tcp', FromPort: from, ToPort: from, ...range }); // prettier-ignore
  const admit = (GroupId: string, permission: IpPermission) =>
    ec2(new AuthorizeSecurityGroupIngressCommand({ GroupId, IpPermissions: [permission] }));
  const refuse = (GroupId: string, permission: IpPermission) =>
    ec2(new RevokeSecurityGroupIngressCommand({ GroupId, IpPermissions: [permission] }));
  const link = (body: object) => gcp(lab, 'POST', '/faults/links', body);
  const networkOf = ({ address }: Answering) => address.split('.')[1] ?? '';

  beforeAll(async () => {
    [told, untold] = [await say('told'), await say('untold')];
    lab = await startLabProcess(undefined, [told.port]);
    groups.clients = await createGroup('clients');
    groups.servers = await createGroup('servers');
    client = await runEc2(lab, 'client', [groups.clients]);
    server = await runEc2(lab, 'server', [groups.servers], { MetadataOptions: { HttpTokens: 'required', HttpPutResponseHopLimit: 1 } }); // prettier-ignore
  });
  afterAll(async () => {
    await lab.end('SIGTERM');
    rmSync(lab.directory, { recursive: true, force: true });
    [told, untold].forEach(({ close }) => close());
    expect(traces(networkOf(client))).toEqual([]);
  });

  it('gives each instance an address of its own, by which it knows itself', () => {
    expect(client.address).toMatch(/^10\.\d+\.1\.\d+$/);
    expect(server.address).not.toBe(client.address);
    expect(inside(lab, client, ['ip', '-4', '-brief', 'address', 'show', 'eth0'])).toContain(` ${client.address}/32`);
    expect(() => inside(lab, client, ['curl', '-s', '-m', '2', 'http://192.0.2.2/'])).toThrow();
    expect(inside(lab, client, ['ip', 'route'])).not.toContain('default');
  });

  it('answers at 169.254.169.254 for the instance that asks, and nowhere else', () => {
    const ask = (who: Answering, path: string, url = 'http://169.254.169.254') => {
      const ttl = 'X-aws-ec2-metadata-token-ttl-seconds: 60';
      const token = inside(lab, who, ['curl', '-sf', '-m', '2', '-X', 'PUT', '-H', ttl, `${url}/latest/api/token`]);
      return inside(lab, who, ['curl', '-sf', '-m', '2', '-H', `X-aws-ec2-metadata-token: ${token}`, `${url}${path}`]);
    };
    expect(ask(client, '/latest/meta-data/instance-id')).toBe(client.id);
    expect(ask(server, '/latest/meta-data/local-ipv4')).toBe(server.address);
    expect(() => ask(client, '/latest/meta-data/instance-id', `http://10.${networkOf(client)}.0.1:1338`)).toThrow();
  });

  it('has the lab and what it was told to on the loopback of its instances, and nothing else of this machine', async () => {
    const { endpoint } = lab.lab.description;
    // Not awaited synchronously: this process answers.
    const curl = promisify(execFile);
    const get = async (url: string) => (await curl('ip', ['netns', 'exec', namespaceOf(lab, client.address), 'curl', '-s', '-m', '2', url])).stdout; // prettier-ignore
    expect(await get(`${endpoint}/oauth2/v1/certs`)).toContain('BEGIN CERTIFICATE');
    expect(await get(`http://127.0.0.1:${told.port}/`)).toBe('told');
    await expect(get(`http://127.0.0.1:${untold.port}/`)).rejects.toThrow();
    await expect(get(`http://10.${networkOf(client)}.0.1:${untold.port}/`)).rejects.toThrow();
  });

  it('lets no answer of the metadata service go further than its hop limit', () => {
    const token = (who: Answering) => {
      const namespace = namespaceOf(lab, who.address);
      const nested = 'espalier-test-nested';
      const ip = (...words: string[]) => execFileSync('ip', words, { stdio: ['ignore', 'pipe', 'pipe'] });
      ip('netns', 'add', nested);
      try {
        ip('link', 'add', 'pod', 'netns', namespace, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', nested);
        ip('-n', namespace, 'address', 'add', '172.31.0.1/30', 'dev', 'pod');
        ip('-n', namespace, 'link', 'set', 'dev', 'pod', 'up');
        ip('-n', nested, 'address', 'add', '172.31.0.2/30', 'dev', 'eth0');
        ip('-n', nested, 'link', 'set', 'dev', 'eth0', 'up');
        ip('-n', nested, 'route', 'add', 'default', 'via', '172.31.0.1');
        inside(lab, who, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward']);
        inside(lab, who, ['nft', 'add table ip nested; add chain ip nested out { type nat hook postrouting priority 100; }; add rule ip nested out ip saddr 172.31.0.2 masquerade']); // prettier-ignore
        const ttl = 'X-aws-ec2-metadata-token-ttl-seconds: 60';
        const words = ['curl', '-sf', '-m', '2', '-X', 'PUT', '-H', ttl, 'http://169.254.169.254/latest/api/token'];
        return execFileSync('ip', ['netns', 'exec', nested, ...words], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }); // prettier-ignore
      } finally {
        ip('netns', 'del', nested);
      }
    };
    // One lets its containers have it, the other does not.
    expect(token(client)).toMatch(/./);
    expect(() => token(server)).toThrow();
  });

  it('refuses what no security group admits, and admits it as soon as one does', async () => {
    const cidr = { IpRanges: [{ CidrIp: `${client.address}/32` }] };
    expect(reach(lab, client, server.address)).toBe(false);
    await admit(groups.servers, port(cidr));
    expect(reach(lab, client, server.address)).toBe(true);
    expect(reach(lab, client, server.address, 9001)).toBe(false);
    expect(reach(lab, server, client.address)).toBe(false);
    await refuse(groups.servers, port(cidr));
    expect(reach(lab, client, server.address)).toBe(false);
  });

  it('admits the members of a group that a rule names', async () => {
    const members = { UserIdGroupPairs: [{ GroupId: groups.clients }] };
    await admit(groups.servers, port(members));
    expect(reach(lab, client, server.address)).toBe(true);
    await ec2(new ModifyInstanceAttributeCommand({ InstanceId: client.id, Groups: [groups.servers] }));
    expect(reach(lab, client, server.address)).toBe(false);
    await ec2(new ModifyInstanceAttributeCommand({ InstanceId: client.id, Groups: [groups.clients] }));
    expect(reach(lab, client, server.address)).toBe(true);
  });

  it('lets nothing out of a group that its rule for that was taken from', async () => {
    const mute = await createGroup('mute');
    const everywhere = [{ IpProtocol: '-1', IpRanges: [{ CidrIp: '0.0.0.0/0' }] }];
    await ec2(new RevokeSecurityGroupEgressCommand({ GroupId: mute, IpPermissions: everywhere }));
    await admit(groups.servers, port({ IpRanges: [{ CidrIp: '10.0.0.0/8' }] }));
    expect(reach(lab, client, server.address)).toBe(true);
    await ec2(new ModifyInstanceAttributeCommand({ InstanceId: client.id, Groups: [mute] }));
    expect(reach(lab, client, server.address)).toBe(false);
    expect(inside(lab, client, ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', 'http://169.254.169.254/'])).not.toBe('000'); // prettier-ignore
    await ec2(new ModifyInstanceAttributeCommand({ InstanceId: client.id, Groups: [groups.clients] }));
  });

  it('enforces firewall rules by priority, tags and sources, a denial first', async () => {
    const firewalls = '/compute/v1/projects/espalier-lab/global/firewalls';
    const rule = (name: string, more: object) => gcp(lab, 'POST', firewalls, { name, network: 'global/networks/default', ...more }); // prettier-ignore
    const tcp = [{ IPProtocol: 'tcp', ports: ['9000'] }];
    const [one, two] = [await runGce(lab, 'one', ['asking']), await runGce(lab, 'two', ['asked'])];
    expect(inside(lab, one, ['curl', '-s', '-m', '2', '-H', 'Metadata-Flavor: Google', 'http://169.254.169.254/computeMetadata/v1/instance/name'])).toBe('one'); // prettier-ignore
    expect(reach(lab, one, two.address)).toBe(false);
    await rule('admit', { targetTags: ['asked'], sourceTags: ['asking'], allowed: tcp });
    expect(reach(lab, one, two.address)).toBe(true);
    expect(reach(lab, one, two.address, 9001)).toBe(false);
    expect(reach(lab, client, two.address)).toBe(false);
    await rule('deny-later', { priority: 2000, targetTags: ['asked'], denied: tcp, sourceRanges: ['0.0.0.0/0'] });
    expect(reach(lab, one, two.address)).toBe(true);
    await rule('deny-equal', { targetTags: ['asked'], denied: tcp, sourceRanges: ['0.0.0.0/0'] });
    expect(reach(lab, one, two.address)).toBe(false);
    await rule('admit-sooner', { priority: 999, targetTags: ['asked'], allowed: tcp, sourceRanges: ['10.0.0.0/8'] });
    expect(reach(lab, one, two.address)).toBe(true);
    await rule('mute', { priority: 0, direction: 'EGRESS', targetTags: ['asking'], denied: [{ IPProtocol: 'all' }], destinationRanges: ['0.0.0.0/0'] }); // prettier-ignore
    expect(reach(lab, one, two.address)).toBe(false);
    expect((await rule('wrong', { allowed: [{ IPProtocol: 'tcp } accept' }] })).status).toBe(400);
  });

  it('cuts and mends the link between instances, and that of one to everything', async () => {
    expect(reach(lab, client, server.address)).toBe(true);
    expect(await link({ between: ['client', ['server', 'two']], state: 'cut' })).toMatchObject({
      status: 200,
      body: { links: [{ state: 'cut' }] },
    });
    expect(reach(lab, client, server.address)).toBe(false);
    expect(reach(lab, server, server.address)).toBe(true);
    expect((await link({ between: [['two', 'server'], 'client'], state: 'whole' })).body['links']).toEqual([]);
    expect(reach(lab, client, server.address)).toBe(true);
    await link({ between: ['server'], state: 'cut' });
    expect(reach(lab, client, server.address)).toBe(false);
    await link({ between: ['server'], state: 'whole' });
    expect(reach(lab, client, server.address)).toBe(true);
    for (const wrong of [
      { between: ['nobody'], state: 'cut' },
      { between: ['client', 'client'], state: 'cut' },
      { between: ['client'], state: 'slow' },
      { between: [], state: 'cut' },
    ])
      // prettier-ignore
      expect((await link(wrong)).status).toBeGreaterThanOrEqual(400);
  });

  it('slows a link', async () => {
    const bytes = 1_000_000;
    const seconds = () => Number(inside(lab, client, ['curl', '-s', '-m', '60', '-o', '/dev/null', '-w', '%{time_total}', `http://${server.address}:9000/${bytes}`])); // prettier-ignore
    const fast = seconds();
    await link({ between: ['client', 'server'], state: 'slow', rate: 250_000 });
    const slow = seconds();
    await link({ between: ['client', 'server'], state: 'whole' });
    process.stderr.write(`peers: ${bytes} bytes: ${fast} s, at 250,000 bytes a second ${slow} s\n`);
    // The first quarter of a second passes at once; TCP needs a moment to find the rate.
    expect(slow).toBeGreaterThan(2);
    expect(slow).toBeLessThan(20);
    expect(seconds()).toBeLessThan(slow / 4);
  });

  it('comes back after a kill to instances that ran on, and to the links that were cut', async () => {
    await link({ between: ['client'], state: 'cut' });
    const before = traces(networkOf(client));
    await lab.end('SIGKILL');
    expect(reach(lab, client, server.address)).toBe(false);
    execFileSync('ip', ['netns', 'add', `espalier-${networkOf(client)}-9999`]); // of an instance that is gone
    lab = await startLabProcess(lab.directory);
    await until('the metadata service', () => /^\d{3}$/.test(inside(lab, server, ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', 'http://169.254.169.254/'])) || undefined); // prettier-ignore
    expect(traces(networkOf(client)).toSorted()).toEqual(before.toSorted());
    expect(reach(lab, client, server.address)).toBe(false);
    expect((await link({ between: ['client'], state: 'whole' })).body['links']).toEqual([]);
    expect(reach(lab, client, server.address)).toBe(true);
  });

  it('leaves nothing when it is stopped, and boots its instances again', async () => {
    await lab.end('SIGTERM');
    expect(traces(networkOf(client))).toEqual([]);
    lab = await startLabProcess(lab.directory);
    await until('the instances', () => reach(lab, client, server.address) || undefined);
    await ec2(new TerminateInstancesCommand({ InstanceIds: [server.id] }));
    await until('the end', () => !traces(networkOf(client)).includes(namespaceOf(lab, server.address)) || undefined);
    expect(reach(lab, client, client.address)).toBe(true);
  });

  it('is not taken from a lab that was killed', async () => {
    await lab.end('SIGKILL');
    const other = await startLabProcess();
    try {
      expect(other.lab.description.endpoint).not.toContain(`127.${networkOf(client)}.0.1`);
    } finally {
      await other.end('SIGTERM');
      rmSync(other.directory, { recursive: true, force: true });
    }
    lab = await startLabProcess(lab.directory);
    expect(lab.lab.description.endpoint).toContain(`127.${networkOf(client)}.0.1`);
  });
});
