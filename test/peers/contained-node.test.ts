// A trust domain whose clouds' rules are enforced: it grows with what the control plane allows and nothing else, and `containNode` cuts a node off, whose
// workload nobody reaches any more and which reaches its server no more, until somebody lets it back.
import { execFile } from 'node:child_process';
import { readFileSync, realpathSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DescribeSecurityGroupsCommand, ModifyInstanceAttributeCommand } from '@aws-sdk/client-ec2';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Lab } from '../../lab/lab.ts';
import type { KeptRunbookReport } from '../../workflows/runbooks/runbook.ts';
import { awsClients, gcpRest } from '../lab/support.ts';
import { spec } from '../support/specs.ts';
import { namespaceOf, refusal } from './support/namespaced-lab.ts';
import { output } from './support/processes.ts';
import { prepareNft, root } from './support/programs.ts';
import { growDomain } from './support/running-domain.ts';
import type { RunningDomain } from './support/running-domain.ts';
import { createStage } from './support/stage.ts';

await prepareNft();
const zone = '/compute/v1/projects/espalier-lab/zones/us-central1-a/instances';
const within = { timeout: 60_000, interval: 500 };

describe.skipIf(refusal())('a node that is contained', () => {
  const stage = createStage();
  let domain: RunningDomain;
  let client: Client;
  let on: { readonly directory: string; readonly lab: Pick<Lab, 'description'> };

  beforeAll(async () => {
    // Selectors are paths of programs: a directory that no link leads to.
    const state = join(realpathSync(stage.directory), 'domain');
    domain = stage.add(await growDomain(stage.directory, { state, isolation: 'namespaces' }));
    const directory = join(state, 'lab');
    const description = JSON.parse(readFileSync(join(directory, 'lab.json'), 'utf8')) as Lab['description'];
    on = { directory, lab: { description } };
    const { temporal } = domain.summary;
    const connection = await Connection.connect({ address: temporal.address });
    stage.add({ stop: () => connection.close() });
    client = new Client({ connection, namespace: temporal.namespace });
  });
  afterAll(() => stage.strike());

  const agentOf = (node: string) => domain.summary.agents.find(({ name }) => name === node)?.spiffeId ?? '';
  const serverOf = (node: string) =>
    domain.summary.servers.find(({ name }) => name === node.replace(/-node-.*/, '-server-0'))!;
  const serverCommand = (node: string, ...words: readonly string[]) =>
    output(join(root, 'bin/spire-server'), [...words, '-socketPath', serverOf(node).adminSocket]);

  /** The address of a node, by the last part of its agent's ID: its instance's id. */
  async function instanceOf(node: string): Promise<{ id: string; name: string; address: string }> {
    const { body } = await gcpRest(on as never, 'GET', '/lab/machines');
    const machines = body as unknown as { id: string; name: string; address: string }[];
    return machines.find(({ id }) => agentOf(node).endsWith(`/${id}`))!;
  }

  async function isReached(node: string, port: number): Promise<boolean> {
    const { address } = await instanceOf(node);
    return new Promise((resolve) => {
      const socket = connect({ host: address, port, timeout: 2000 });
      const settle = (reached: boolean) => {
        socket.destroy();
        resolve(reached);
      };
      socket.once('connect', () => settle(true));
      socket.once('timeout', () => settle(false));
      socket.once('error', () => settle(false));
    });
  }

  async function reachesServer(node: string): Promise<boolean> {
    const [host = '', port = ''] = serverOf(node).address.split(':');
    const namespace = namespaceOf(on, (await instanceOf(node)).address);
    const dial = `exec 3<>/dev/tcp/${host}/${port}`;
    return promisify(execFile)('ip', ['netns', 'exec', namespace, 'timeout', '2', 'bash', '--norc', '-c', dial]).then(
      () => true,
      () => false,
    );
  }

  async function contain(node: string): Promise<KeptRunbookReport> {
    const { trustDomain } = domain.summary;
    const policy = { approvals: 'none', deadline: '3s', lookEvery: '1s' };
    const request = { spec, subject: agentOf(node), requester: 'tests', reason: 'a test', policy };
    const done: unknown = await client.workflow.execute('containNode', {
      args: [request],
      taskQueue: 'control',
      workflowId: `containNode/${trustDomain}/${node}`,
    });
    return done as KeptRunbookReport;
  }

  const letBack: Record<string, (node: string) => Promise<unknown>> = {
    async aws(node) {
      const { ec2 } = awsClients(on as never);
      const { SecurityGroups = [] } = await ec2.send(new DescribeSecurityGroupsCommand({}));
      const own = SecurityGroups.find(({ GroupName }) => GroupName?.endsWith('-instances'))?.GroupId ?? '';
      const { id } = await instanceOf(node);
      return ec2.send(new ModifyInstanceAttributeCommand({ InstanceId: id, Groups: [own] }));
    },
    async gcp(node) {
      const { name } = await instanceOf(node);
      const { tags } = (await gcpRest(on as never, 'GET', `${zone}/${name}`)).body as {
        tags: { items: string[]; fingerprint: string };
      };
      const items = tags.items.filter((tag) => !tag.endsWith('-isolated'));
      return gcpRest(on as never, 'POST', `${zone}/${name}/setTags`, { items, fingerprint: tags.fingerprint });
    },
  };

  it.each(['aws', 'gcp'])(
    'on %s is out of everybody\u2019s reach, and back when its own group or tags are',
    async (cloud) => {
      const node = `${cloud}-node-0`;
      expect(await isReached(node, 9443)).toBe(true);
      expect(await reachesServer(node)).toBe(true);
      // What no rule is for: the server's own health port is, another is not.
      expect(await isReached(node, 22)).toBe(false);
      const report = await contain(node);
      expect(report.outcome).toBe('contained');
      expect(report.findings.join('\n')).toContain(`node ${node} is cut off`);
      expect(await isReached(node, 9443)).toBe(false);
      expect(await reachesServer(node)).toBe(false);
      expect(await reachesServer(`${cloud}-node-1`)).toBe(true);
      const isListed = async () =>
        (await serverCommand(node, 'agent', 'list', '-banned', 'false')).includes(agentOf(node));
      expect(await isListed()).toBe(false);

      await serverCommand(node, 'agent', 'evict', '-spiffeID', agentOf(node));
      await letBack[cloud]!(node);
      expect(await isReached(node, 9443)).toBe(true);
      expect(await reachesServer(node)).toBe(true);
      await expect.poll(isListed, within).toBe(true);
    },
  );
});
