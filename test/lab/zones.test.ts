// GCE instances that somebody has moved to another zone of their region: the control plane's client finds them, instructs them and takes them away there.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CloudClient } from '../../activities/cloud.ts';
import { digest, stem } from '../../activities/cloud.ts';
import { createGcpClient } from '../../activities/clients/gcp.ts';
import type { LabState } from '../../lab/state.ts';
import { gcpRest, startTestLab, until } from './support.ts';
import type { TestLab } from './support.ts';

const trustDomain = 'example.org';
const [region, role] = ['us-central1', 'node-a'] as const;
const where = { trustDomain, region };
let cloud: TestLab;
let client: CloudClient;

/** As the client makes them, elsewhere; returns its instance ID. */
async function move(name: string, zone: string): Promise<void> {
  const { status } = await gcpRest(cloud, 'POST', `/compute/v1/projects/espalier-lab/zones/${zone}/instances`, {
    name: `${stem(trustDomain)}-${name}`,
    machineType: `zones/${zone}/machineTypes/e2-small`,
    disks: [{ boot: true, initializeParams: { sourceImage: 'global/images/any' } }],
    networkInterfaces: [{ network: 'global/networks/default' }],
    labels: {
      'espalier-trust-domain': digest(trustDomain).slice(0, 8),
      'espalier-name': name,
      'espalier-role': role,
      'espalier-owner': 'run-1',
    },
  });
  expect(status).toBe(200);
  await until('the instance', () => client.findInstance({ ...where, name }));
}

const instances = () =>
  (JSON.parse(readFileSync(join(cloud.directory, 'state.json'), 'utf8')) as LabState).gcp.instances;

beforeAll(async () => {
  cloud = await startTestLab();
  const { endpoint, gcp } = cloud.lab.description;
  client = createGcpClient({ ...gcp, endpoint, image: 'global/images/any', machineType: 'e2-small' });
  await client.ensureNetwork(where);
  const rights = { secrets: [], describeInstances: false };
  await client.ensureInstanceIdentity({ trustDomain, role, rights });
  await client.ensureInstance({ ...where, name: 'a-node-0', role, bootScript: '', owner: 'run-1' });
  await until('the node', () => client.findInstance({ ...where, name: 'a-node-0' }));
  await move('a-node-1', 'us-central1-c');
  await move('a-node-2', 'us-central1-f');
});
afterAll(() => cloud.close());

test('they are listed with those of the zone in which new ones are made, and those of other regions are not', async () => {
  const names = ['a-node-0', 'a-node-1', 'a-node-2'];
  expect((await client.listNodes({ ...where, role })).map(({ name }) => name).toSorted()).toEqual(names);
  expect(await client.listPlaced({ trustDomain })).toMatchObject([{ region, role, names }]);
  const listed = await client.listResources({ trustDomain, regions: [region] });
  expect(listed.filter(({ kind }) => kind === 'instance')).toHaveLength(3);
  expect(await client.listNodes({ trustDomain, region: 'europe-west1', role })).toEqual([]);
});

test('they are not made a second time', async () => {
  await client.ensureInstance({ ...where, name: 'a-node-1', role, bootScript: '', owner: 'run-1' });
  expect(instances().filter(({ name }) => name.endsWith('a-node-1'))).toMatchObject([{ zone: 'us-central1-c' }]);
});

test('they take instructions, and what is on them is noted there', async () => {
  const command = { ...where, role, names: ['a-node-1'], id: 'id-1', script: 'true', timeoutSeconds: 1 };
  const { nodes, refused } = await client.beginCommand(command);
  expect({ nodes: nodes.map(({ reference }) => reference.split('/')[0]), refused }).toEqual({
    nodes: ['us-central1-c'],
    refused: [],
  });
  const told = instances().find(({ zone }) => zone === 'us-central1-c');
  expect(told?.metadata['espalier-instruction']).toContain('id-1');
  await client.noteRelease({ ...where, role, names: ['a-node-1'], release: 'ab'.repeat(32) });
  const found = await client.listNodes({ ...where, role });
  expect(found.find(({ name }) => name === 'a-node-1')?.release).toBe('abababababababab');
});

test('they are cut off, their consoles read, and taken away', async () => {
  await client.isolateInstance({ ...where, name: 'a-node-1' });
  expect(
    instances()
      .find(({ zone }) => zone === 'us-central1-c')
      ?.tags.join(),
  ).toContain('isolated');
  expect(await client.readConsole({ ...where, name: 'a-node-1' })).toEqual(expect.any(String));
  await client.removeInstance({ ...where, name: 'a-node-1' });
  await client.removeInstance({ ...where, name: 'a-node-1' });
  expect((await client.listNodes({ ...where, role })).map(({ name }) => name).toSorted()).toEqual([
    'a-node-0',
    'a-node-2',
  ]);
});

test('one that runs in two zones is nobody’s to choose from', async () => {
  await move('a-node-2', 'us-central1-b').catch(() => undefined); // it is found twice from then on
  await expect(client.findInstance({ ...where, name: 'a-node-2' })).rejects.toMatchObject({
    type: 'Conflict',
    message: 'instance a-node-2 runs more than once: in us-central1-f and us-central1-b',
  });
});
