// The Compute Engine half of the lab, asked by Google's own client over REST.
import { FirewallsClient, GlobalOperationsClient, InstancesClient, ZoneOperationsClient } from '@google-cloud/compute';
import type { protos } from '@google-cloud/compute';
import { OAuth2Client } from 'google-auth-library';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { gcpRest, processesOf, startTestLab, until } from './support.ts';
import type { TestLab } from './support.ts';

type Operation = protos.google.cloud.compute.v1.IOperation;

const project = 'espalier-lab';
const zone = 'us-central1-a';
const account = { accountId: 'node-account', serviceAccount: { displayName: 'a node' } };
const email = `node-account@${project}.iam.gserviceaccount.com`;

let cloud: TestLab;
let instances: InstancesClient;
let operations: ZoneOperationsClient;
let firewalls: FirewallsClient;
let globalOperations: GlobalOperationsClient;

beforeAll(async () => {
  cloud = await startTestLab();
  const authClient = new OAuth2Client();
  authClient.setCredentials({ access_token: cloud.lab.description.gcp.accessToken });
  const endpoint = new URL(cloud.lab.description.endpoint);
  const options = {
    fallback: true,
    authClient: authClient as never,
    apiEndpoint: endpoint.hostname,
    port: Number(endpoint.port),
    protocol: 'http',
  };
  instances = new InstancesClient(options);
  operations = new ZoneOperationsClient(options);
  firewalls = new FirewallsClient(options);
  globalOperations = new GlobalOperationsClient(options);
  await gcpRest(cloud, 'POST', `/v1/projects/${project}/serviceAccounts`, account);
});
afterAll(() => cloud.close());

function resource(name: string, script = 'echo hello from the boot script') {
  return {
    name,
    machineType: `zones/${zone}/machineTypes/e2-small`,
    labels: { 'espalier-trust-domain': '1234' },
    disks: [{ boot: true, initializeParams: { sourceImage: 'projects/debian-cloud/global/images/family/debian-12' } }],
    networkInterfaces: [{ network: 'global/networks/default' }],
    serviceAccounts: [{ email, scopes: ['https://www.googleapis.com/auth/cloud-platform'] }],
    metadata: { items: [{ key: 'startup-script', value: script }] },
  };
}

async function insert(name: string, requestId: string = randomUUID(), script?: string): Promise<Operation> {
  const [response] = await instances.insert({ project, zone, requestId, instanceResource: resource(name, script) });
  return response.latestResponse as Operation;
}

async function finish(operation: Operation): Promise<Operation> {
  const [done] = await operations.wait({ project, zone, operation: operation.name ?? '' });
  return done;
}

describe('instances', () => {
  test('are inserted, run their startup script, are listed by label, and are gone once deleted', async () => {
    const done = await finish(await insert('first'));
    expect(done).toMatchObject({ status: 'DONE', progress: 100 });
    const [instance] = await instances.get({ project, zone, instance: 'first' });
    expect(instance).toMatchObject({ status: 'RUNNING', name: 'first', labels: { 'espalier-trust-domain': '1234' } });
    expect(instance.networkInterfaces?.[0]?.networkIP).toMatch(/^127\.\d+\.2\.\d+$/);
    await until('the console', async () => {
      const [output] = await instances.getSerialPortOutput({ project, zone, instance: 'first', port: 1 });
      return output.contents?.includes('hello from the boot script') === true ? true : undefined;
    });
    const [listed] = await instances.list({ project, zone, filter: 'labels.espalier-trust-domain=1234' });
    expect(listed.map(({ name }) => name)).toEqual(['first']);
    const [others] = await instances.list({ project, zone, filter: 'labels.espalier-trust-domain=other' });
    expect(others).toEqual([]);

    const [response] = await instances.delete({ project, zone, instance: 'first' });
    expect(await finish(response.latestResponse as Operation)).toMatchObject({
      status: 'DONE',
      operationType: 'delete',
    });
    await expect(instances.get({ project, zone, instance: 'first' })).rejects.toMatchObject({ httpStatusCode: 404 });
    expect(processesOf(cloud.directory, 1)).toEqual([]);
  });

  test('say when they were started last: a start after a stop counts, a reset does not', async () => {
    const at = { project, zone, instance: 'restarted' };
    await finish(await insert('restarted'));
    const started = async () => Date.parse((await instances.get(at))[0].lastStartTimestamp ?? '');
    const first = await started();
    await finish((await instances.reset(at))[0].latestResponse as Operation);
    expect(await started()).toBe(first);
    await finish((await instances.stop(at))[0].latestResponse as Operation);
    await finish((await instances.start(at))[0].latestResponse as Operation);
    expect(await started()).toBeGreaterThan(first);
  });

  test('the same request id twice makes one instance and answers with the first operation', async () => {
    const requestId = randomUUID();
    const [first, second] = [await insert('once', requestId), await insert('once', requestId)];
    expect(second.name).toBe(first.name);
    await finish(first);
    const [listed] = await instances.list({ project, zone, filter: 'name=once' });
    expect(listed).toHaveLength(1);
  });

  test('refuses a request id that was used for another request, or is no UUID', async () => {
    const requestId = randomUUID();
    await finish(await insert('with-id', requestId));
    await expect(insert('with-same-id', requestId)).rejects.toMatchObject({ httpStatusCode: 400 });
    await expect(insert('with-bad-id', 'not-a-uuid')).rejects.toMatchObject({ httpStatusCode: 400 });
  });

  test('refuses a name that is taken', async () => {
    await finish(await insert('taken'));
    await expect(insert('taken')).rejects.toMatchObject({ httpStatusCode: 409 });
  });

  test.each([
    ['a name with capitals', { name: 'Upper' }],
    ['a label value with capitals', { labels: { owner: 'Run/1' } }],
    ['a service account that does not exist', { serviceAccounts: [{ email: 'nobody@example.com', scopes: [] }] }],
    ['no disk', { disks: [] }],
  ])('refuses %s', async (_what, change) => {
    const instanceResource = { ...resource('refused'), ...change };
    await expect(instances.insert({ project, zone, instanceResource })).rejects.toMatchObject({ httpStatusCode: 400 });
  });

  test('setLabels needs the fingerprint of the labels it replaces', async () => {
    await finish(await insert('labelled'));
    const [{ labelFingerprint }] = await instances.get({ project, zone, instance: 'labelled' });
    const labels = { team: 'demo' };
    const set = (fingerprint: string) =>
      instances.setLabels({
        project,
        zone,
        instance: 'labelled',
        instancesSetLabelsRequestResource: { labels, labelFingerprint: fingerprint },
      });
    await expect(set('bm9uZQ==')).rejects.toMatchObject({ httpStatusCode: 409 });
    await set(labelFingerprint ?? '');
    const [{ labels: now }] = await instances.get({ project, zone, instance: 'labelled' });
    expect(now).toEqual(labels);
  });

  test('refuses who has no token or a forged one', async () => {
    const path = `/compute/v1/projects/${project}/zones/${zone}/instances`;
    for (const token of ['', 'ya29.e30.AAAA', `${cloud.lab.description.gcp.accessToken}x`]) {
      expect(await gcpRest(cloud, 'GET', path, undefined, token)).toMatchObject({ status: 401 });
    }
  });
});

describe('firewalls', () => {
  test('are inserted, read and deleted, and a second of the name is refused', async () => {
    const firewallResource = {
      name: 'to-servers',
      network: 'global/networks/default',
      sourceRanges: ['10.0.0.0/8'],
      allowed: [{ IPProtocol: 'tcp', ports: ['8081'] }],
    };
    const [response] = await firewalls.insert({ project, firewallResource });
    const name = (response.latestResponse as Operation).name ?? '';
    const [done] = await globalOperations.wait({ project, operation: name });
    expect(done.status).toBe('DONE');
    await expect(firewalls.insert({ project, firewallResource })).rejects.toMatchObject({ httpStatusCode: 409 });
    const [found] = await firewalls.get({ project, firewall: 'to-servers' });
    expect(found).toMatchObject({ name: 'to-servers', allowed: [{ IPProtocol: 'tcp', ports: ['8081'] }] });
    await firewalls.delete({ project, firewall: 'to-servers' });
    await expect(firewalls.get({ project, firewall: 'to-servers' })).rejects.toMatchObject({ httpStatusCode: 404 });
  });
});
