// Scripts on nodes that run, by each cloud's own means: the control plane's clients send them, AWS's Run Command or the node's own watcher of its metadata
// runs them, and what is on a node is found by its labels.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { BegunCommand, CloudClient, NodeCommand, NodeOutcome } from '../../activities/cloud.ts';
import { createAwsClient } from '../../activities/clients/aws.ts';
import { createGcpClient } from '../../activities/clients/gcp.ts';
import type { LabState } from '../../lab/state.ts';
import { startTestLab, until } from './support.ts';
import type { TestLab } from './support.ts';

const trustDomain = 'example.org';
const role = 'node-a' as const;
/** What a node's boot script starts on GCE. */
const follow = `#!/bin/sh
mkdir -p "$ESPALIER_ROOT/etc/systemd/system"
cat > "$ESPALIER_ROOT/etc/systemd/system/espalier-instructions.service" <<END
[Service]
ExecStart=${process.execPath} ${resolve('runtime/node/main.ts')} instructions --cloud gcp --directory $ESPALIER_ROOT/var/lib/espalier
Restart=always
END
systemctl daemon-reload
systemctl enable espalier-instructions
systemctl restart espalier-instructions
`;

let cloud: TestLab;
let clients: Readonly<Record<'aws' | 'gcp', CloudClient>>;
const regions = { aws: 'us-east-1', gcp: 'us-central1' } as const;

beforeAll(async () => {
  cloud = await startTestLab();
  const { endpoint, aws, gcp } = cloud.lab.description;
  clients = {
    aws: createAwsClient({ ...aws, region: regions.aws, instanceType: 't3.small', endpoint }),
    gcp: createGcpClient({ ...gcp, endpoint, image: 'global/images/any', machineType: 'e2-small' }),
  };
  await Promise.all(
    (['aws', 'gcp'] as const).map(async (name) => {
      const client = clients[name];
      const region = regions[name];
      await client.ensureNetwork({ trustDomain, region });
      const rights = { secrets: [], describeInstances: false, takesCommands: true };
      await client.ensureInstanceIdentity({ trustDomain, role, rights });
      for (const node of ['a-node-0', 'a-node-1']) {
        const bootScript = name === 'gcp' ? follow : '#!/bin/sh\n';
        const release = node === 'a-node-0' ? 'ab'.repeat(32) : undefined;
        await client.ensureInstance({ trustDomain, name: node, region, role, bootScript, owner: 'run-1', release });
        await until('the node', () => client.findInstance({ trustDomain, name: node, region }));
      }
    }),
  );
});
afterAll(() => cloud.close());

const names = ['a-node-0', 'a-node-1'];
const commandOf = (of: 'aws' | 'gcp', more: Partial<NodeCommand>): NodeCommand => ({
  trustDomain,
  region: regions[of],
  role,
  names,
  id: 'command-1',
  script: 'true',
  timeoutSeconds: 20,
  ...more,
});

async function ended(client: CloudClient, begun: BegunCommand): Promise<NodeOutcome[]> {
  const outcomes = await until('the end of the command', async () => {
    const found = await client.readCommand(begun);
    return found.length === begun.nodes.length ? found : undefined;
  });
  return outcomes.toSorted((a, b) => a.name.localeCompare(b.name));
}

describe.each(['aws', 'gcp'] as const)('on %s', (of) => {
  const run = async (more: Partial<NodeCommand>) => {
    const client = clients[of];
    const begun = await client.beginCommand(commandOf(of, more));
    return { begun, outcomes: await ended(client, begun) };
  };
  const file = (name: string) => join(cloud.directory, `${of}-${name}`);

  test('nodes are found with what is on them', async () => {
    const found = await clients[of].listNodes({ trustDomain, region: regions[of], role });
    expect(
      found
        .map(({ name, isRunning, release }) => ({ name, isRunning, release }))
        .toSorted((a, b) => a.name.localeCompare(b.name)),
    ).toEqual([
      { name: 'a-node-0', isRunning: true, release: 'abababababababab' },
      { name: 'a-node-1', isRunning: true, release: undefined },
    ]);
    const instance = await clients[of].findInstance({ trustDomain, region: regions[of], name: 'a-node-0' });
    expect(found.find(({ name }) => name === 'a-node-0')?.agentId).toBe(instance?.agentId);
  });

  test('a script runs on each of them, in its own place, and what it said comes back', async () => {
    const { outcomes } = await run({
      id: 'says',
      script: `echo "$ESPALIER_ROOT" >> ${file('says')}; echo "it's done"; echo oops >&2`,
    });
    expect(outcomes).toMatchObject([
      { name: 'a-node-0', isDone: true },
      { name: 'a-node-1', isDone: true },
    ]);
    expect(outcomes[0]?.said).toContain("it's done");
    const roots = readFileSync(file('says'), 'utf8').trim().split('\n');
    expect(new Set(roots).size).toBe(2);
  });

  test('one that fails is told with its reason, and only there', async () => {
    writeFileSync(file('first'), '');
    const script = `echo why >&2; rm ${file('first')} || exit 3`;
    const { outcomes } = await run({ id: 'fails', script });
    expect(outcomes.filter(({ isDone }) => isDone)).toHaveLength(1);
    expect(outcomes.find(({ isDone }) => !isDone)?.said).toContain('why');
  });

  test('a node that does not run is named, and the others are done', async () => {
    const { begun, outcomes } = await run({ id: 'absent', names: ['a-node-1', 'a-node-9'] });
    expect(begun.refused).toEqual([{ name: 'a-node-9', isDone: false, said: 'it does not run' }]);
    expect(outcomes).toMatchObject([{ name: 'a-node-1', isDone: true }]);
  });

  test('what was put on nodes is noted for whoever looks next', async () => {
    const where = { trustDomain, region: regions[of], role };
    await clients[of].noteRelease({ ...where, names: ['a-node-1'], release: 'cd'.repeat(32) });
    const found = await clients[of].listNodes(where);
    expect(new Map(found.map(({ name, release }) => [name, release]))).toEqual(
      new Map([
        ['a-node-0', 'abababababababab'],
        ['a-node-1', 'cdcdcdcdcdcdcdcd'],
      ]),
    );
  });
});

test.each(['aws', 'gcp'] as const)(
  'a node of %s is cut off, again and again, and the network goes with the rest',
  async (of) => {
    const client = clients[of];
    const where = { trustDomain: `isolated-${of}.example.org`, region: regions[of] };
    const name = 'a-node-0';
    await client.ensureNetwork(where);
    await client.ensureInstanceIdentity({
      trustDomain: where.trustDomain,
      role,
      rights: { secrets: [], describeInstances: false },
    });
    await client.ensureInstance({ ...where, name, role, bootScript: '', owner: 'run-1' });
    await until('the node', () => client.findInstance({ ...where, name }));
    await client.isolateInstance({ ...where, name });
    await client.isolateInstance({ ...where, name });
    const { aws, gcp } = JSON.parse(readFileSync(join(cloud.directory, 'state.json'), 'utf8')) as LabState;
    if (of === 'aws') {
      const isolated = aws.securityGroups.find((group) => group.name.endsWith('-isolated'));
      expect(isolated).toMatchObject({ ingress: [], egressRevoked: true });
      expect(
        aws.instances.filter(({ groupIds }) => groupIds.includes(isolated?.id ?? '')).map(({ groupIds }) => groupIds),
      ).toEqual([[isolated?.id]]);
    } else {
      const rules = gcp.firewalls.filter((firewall) => firewall.name.includes('-isolated'));
      const everything = ['0.0.0.0/0', '0.0.0.0/0', '::/0', '::/0'];
      expect(rules.map(({ body }) => [body['sourceRanges'] ?? body['destinationRanges']].flat()).flat()).toEqual(
        everything,
      );
      expect(rules.map(({ body }) => body['direction'])).toEqual(['INGRESS', 'EGRESS', 'INGRESS', 'EGRESS']);
      expect(rules.every(({ body }) => body['priority'] === 0 && JSON.stringify(body['denied']).includes('all'))).toBe(
        true,
      );
      const [tag] = (rules[0]?.body['targetTags'] ?? []) as string[];
      expect(gcp.instances.filter(({ tags }) => tags.includes(tag ?? ''))).toHaveLength(1);
    }
    await client.removeInstance({ ...where, name });
    await client.removeNetwork(where);
    await client.removeInstanceIdentity({ trustDomain: where.trustDomain, role });
    expect(await client.listResources({ trustDomain: where.trustDomain, regions: [where.region] })).toEqual([]);
  },
);

test('GCE runs the same instruction once, also when it is sent again', async () => {
  const path = join(cloud.directory, 'once');
  const command = commandOf('gcp', { id: 'once', names: ['a-node-0'], script: `echo ran >> ${path}` });
  await ended(clients.gcp, await clients.gcp.beginCommand(command));
  await ended(clients.gcp, await clients.gcp.beginCommand(command));
  expect(readFileSync(path, 'utf8')).toBe('ran\n');
});

test('Run Command ends a script whose time is over', async () => {
  const begun = await clients.aws.beginCommand(
    commandOf('aws', { names: ['a-node-0'], script: 'sleep 30', timeoutSeconds: 1 }),
  );
  expect(await ended(clients.aws, begun)).toEqual([
    { name: 'a-node-0', isDone: false, said: 'Run Command says TimedOut' },
  ]);
});

test('Run Command does not reach an instance whose role does not let it be managed', async () => {
  const other = { trustDomain, role: 'node-b', region: regions.aws } as const;
  const rights = { secrets: [], describeInstances: true };
  await clients.aws.ensureInstanceIdentity({ trustDomain, role: other.role, rights });
  await clients.aws.ensureInstance({ ...other, name: 'b-node-0', bootScript: '', owner: 'run-1' });
  await until('the node', () => clients.aws.findInstance({ trustDomain, name: 'b-node-0', region: regions.aws }));
  const command = { ...commandOf('aws', {}), role: other.role, names: ['b-node-0'] };
  expect((await clients.aws.beginCommand(command)).refused).toMatchObject([
    { name: 'b-node-0', said: expect.stringContaining('Systems Manager does not manage it') as string },
  ]);
  await clients.aws.ensureInstanceIdentity({
    trustDomain,
    role: other.role,
    rights: { ...rights, takesCommands: true },
  });
  const begun = await clients.aws.beginCommand(command);
  expect(await ended(clients.aws, begun)).toMatchObject([{ name: 'b-node-0', isDone: true }]);
});

test('an instance without the right to say something of itself is refused by its metadata server', async () => {
  const machines = await fetch(`${cloud.lab.description.endpoint}/lab/machines`, {
    headers: { authorization: `Bearer ${cloud.lab.description.gcp.accessToken}` },
  });
  const [first] = ((await machines.json()) as { cloud: string; address: string }[]).filter(
    (one) => one.cloud === 'gcp',
  );
  const put = (headers: Record<string, string>) =>
    fetch(`http://${first?.address ?? ''}:1339/computeMetadata/v1/instance/guest-attributes/a/b`, {
      method: 'PUT',
      headers,
      body: 'x',
    });
  expect((await put({})).status).toBe(403);
  expect((await put({ 'Metadata-Flavor': 'Google' })).status).toBe(200);
  expect(existsSync(join(cloud.directory, 'state.json'))).toBe(true);
});
