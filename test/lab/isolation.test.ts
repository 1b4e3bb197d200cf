// How far instances are kept apart: what the lab refuses, and what the clouds' rules become for the router. That the kernel enforces it is shown by the
// peers tests, as root.
import { expect, it, onTestFinished } from 'vitest';
import { guardInstances as guardEc2 } from '../../lab/aws/instance-rules.ts';
import { emptyAwsState } from '../../lab/aws/state.ts';
import type { AwsState } from '../../lab/aws/state.ts';
import { guardInstances as guardGce } from '../../lab/gcp/instance-rules.ts';
import { emptyGcpState } from '../../lab/gcp/state.ts';
import type { GcpState } from '../../lab/gcp/state.ts';
import { faultOf, renderFirewall } from '../../lab/instance/firewall.ts';
import { namespaceHindrances } from '../../lab/instance/network-programs.ts';
import { chooseIsolation } from '../../lab/isolation.ts';
import type { LabState } from '../../lab/state.ts';
import { gcpRest, startTestLab } from './support.ts';

const machine = (number: number) => ({ number, address: `10.99.1.${number}`, bootScript: '' });

const open = { network: 99, sealKey: '', nextMachine: 1, version: 1 } as const;
const ruleset = (guarded: Parameters<typeof renderFirewall>[0]['guarded']) =>
  renderFirewall({ gateway: '10.99.0.1', metadataPort: 1338, guarded, links: [] });
/** Lines of one chain. */
const chain = (text: string, name: string) =>
  (new RegExp(`chain ${name} \\{\n([^]*?)\\n\\}`).exec(text)?.[1] ?? 'no such chain').split('\n').map((line) => line.trim()); // prettier-ignore

function group(id: string, more: object = {}): AwsState['securityGroups'][number] {
  return { region: 'us-east-1', id, name: id, description: '', tags: [], ingress: [], ...more };
}
function ec2(number: number, groupIds: string[]): AwsState['instances'][number] {
  const metadataOptions = { httpTokens: 'required', hopLimit: 2, endpoint: 'enabled' };
  return {
    id: `i-${number}`,
    state: 'running',
    groupIds,
    metadataOptions,
    machine: machine(number),
    tags: [],
  } as never;
}
function gce(number: number, tags: string[], more: object = {}): GcpState['instances'][number] {
  return { id: String(number), name: `n-${number}`, tags, machine: machine(number), ...more } as never;
}
function firewall(name: string, body: object): GcpState['firewalls'][number] {
  return { id: name, name, createdAt: 0, body: { ...body } };
}

it('refuses namespaces without root or the programs for them, and says what is missing', () => {
  const state: LabState = { ...open, aws: emptyAwsState(), gcp: emptyGcpState() };
  const hindrances = namespaceHindrances(1000, ['/nowhere']);
  expect(hindrances).toEqual([
    'this process is not root',
    "ip is not on PATH (Debian's package iproute2)",
    "nft is not on PATH (Debian's package nftables)",
    "nsenter is not on PATH (Debian's package util-linux)",
  ]);
  expect(() => chooseIsolation(state, 'namespaces', () => hindrances)).toThrow(
    "isolation namespaces is not possible here: this process is not root; ip is not on PATH (Debian's package iproute2);",
  );
  expect(chooseIsolation(state, undefined, () => hindrances)).toBe('none');
  expect(chooseIsolation(state, 'namespaces', () => [])).toBe('namespaces');
});

it('goes on as its instances are, and refuses another isolation while there are any', () => {
  const state: LabState = { ...open, isolation: 'namespaces', aws: emptyAwsState(), gcp: emptyGcpState() };
  expect(chooseIsolation(state, 'none', () => [])).toBe('none');
  state.aws.instances.push(ec2(1, []));
  expect(chooseIsolation(state, undefined, () => [])).toBe('namespaces');
  expect(() => chooseIsolation(state, 'none', () => [])).toThrow("this lab's instances have isolation namespaces, none is asked for: remove them first"); // prettier-ignore
  expect(() => chooseIsolation(state, undefined, () => ['this process is not root'])).toThrow('not root');
});

it('cuts no links where instances share the machine\u2019s network, and lets nobody but the owner ask', async () => {
  const test = await startTestLab();
  onTestFinished(() => test.close());
  const cut = { between: ['somebody'], state: 'cut' };
  const answer = await gcpRest(test, 'POST', '/faults/links', cut);
  expect(answer.status).toBe(400);
  expect(JSON.stringify(answer.body)).toContain('in a lab with --isolation namespaces only');
  expect((await gcpRest(test, 'GET', '/faults')).body).toMatchObject({ links: [] });
  expect((await gcpRest(test, 'GET', '/faults', undefined, 'nobody')).status).toBe(401);
  expect((await gcpRest(test, 'POST', '/faults/none', cut)).status).toBe(404);
});

it('admits what one of an EC2 instance\u2019s groups admits, and lets everything out unless that was taken from all of them', () => {
  const rule = { protocol: 'tcp', fromPort: 8081, toPort: 8090, cidr: '10.0.0.0/8' };
  const state = {
    ...emptyAwsState(),
    securityGroups: [
      group('sg-a', { ingress: [rule, { protocol: '-1', fromPort: -1, toPort: -1, cidr: '', groupId: 'sg-b' }] }),
      group('sg-b', { egressRevoked: true }),
    ],
    instances: [ec2(1, ['sg-a']), ec2(2, ['sg-b']), ec2(3, []), ec2(4, [])],
  };
  const text = ruleset(guardEc2(state));
  expect(chain(text, 'in-m1')).toEqual([
    'ip saddr 10.0.0.0/8 meta l4proto tcp th dport { 8081-8090 } return',
    'ip saddr 10.99.1.2/32 return',
    'drop',
  ]);
  expect(chain(text, 'out-m1')).toEqual(['ip daddr 0.0.0.0/0 return', 'drop']);
  expect(chain(text, 'in-m2')).toEqual(['drop']);
  expect(chain(text, 'out-m2')).toEqual(['drop']);
  expect(chain(text, 'in-m3')).toEqual(['ip saddr 10.99.1.3/32 return', 'ip saddr 10.99.1.4/32 return', 'drop']);
  expect(chain(text, 'hops')).toContain('oifname "m1" ct original ip daddr 169.254.169.254 ip ttl set 2');
});

it('orders Compute Engine\u2019s rules by priority, a denial first, for the tags and accounts that they name', () => {
  const tcp = (port: string) => [{ IPProtocol: 'TCP', ports: [port] }];
  const state = {
    ...emptyGcpState(),
    firewalls: [
      firewall('usual', { allowed: tcp('80'), sourceTags: ['web'] }),
      firewall('denied', { denied: [{ IPProtocol: 'all' }], sourceRanges: ['10.1.0.0/16', '::/0'] }),
      firewall('sooner', { priority: 1, allowed: tcp('22'), targetServiceAccounts: ['a@b'] }),
      firewall('off', { priority: 0, disabled: true, allowed: tcp('1') }),
      firewall('out', { direction: 'EGRESS', denied: tcp('25'), targetTags: ['web'] }),
    ],
    instances: [gce(1, ['web']), gce(2, [], { serviceAccount: { email: 'a@b', scopes: [] } })],
  };
  const text = ruleset(guardGce(state));
  const common = ['ip saddr 10.1.0.0/16 drop', 'ip saddr 10.99.1.1/32 meta l4proto tcp th dport { 80 } return', 'drop'];
  expect(chain(text, 'in-m1')).toEqual(common);
  expect(chain(text, 'in-m2')).toEqual(['ip saddr 0.0.0.0/0 meta l4proto tcp th dport { 22 } return', ...common]);
  expect(chain(text, 'out-m1')).toEqual([
    'ip daddr 0.0.0.0/0 meta l4proto tcp th dport { 25 } drop',
    'ip daddr 0.0.0.0/0 return',
    'drop',
  ]);
  expect(chain(text, 'out-m2')).toEqual(['ip daddr 0.0.0.0/0 return', 'drop']);
});

it.each([
  [{ protocol: 'tcp } accept' }, "protocol 'tcp } accept'"],
  [{ protocol: '256' }, "protocol '256'"],
  [{ ports: [[2, 1]] as const }, 'ports 2-1'],
  [{ ports: [[Number.NaN, 1]] as const }, 'ports NaN-1'],
  [{ peers: ['10.0.0.0/33'] }, "network '10.0.0.0/33'"],
  [{ peers: ['10.0.0.0/8 accept'] }, "network '10.0.0.0/8 accept'"],
  [{ peers: ['::/0'] }, "network '::/0'"],
  [{}, undefined],
])('finds what cannot be enforced: %j', (more, fault) => {
  const rule = { action: 'allow', protocol: 'tcp', ports: [[1, 65_535]], peers: ['10.0.0.0/8', '10.1.2.3'] } as const;
  expect(faultOf({ ...rule, ...more })).toBe(fault);
});
