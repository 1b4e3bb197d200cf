// Running nodes on AWS: found by their tags, changed by Systems Manager's Run Command, whose agent is part of Amazon's and Ubuntu's images: no port is
// opened, nobody logs in, and CloudTrail has every command.
// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_SendCommand.html
import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import type { CommandInvocation, SSMClient } from '@aws-sdk/client-ssm';
import type { BegunCommand, ListedNode, NodeCommand, NodeCommands, NodeOutcome } from '../cloud.ts';
import { releaseLabel } from '../cloud.ts';
import type { AwsSettings } from './aws.ts';
import { clientSettings } from './aws.ts';

export interface AwsInstances {
  readonly list: (region: string, trustDomain: string) => Promise<readonly Ec2Instance[]>;
  readonly tag: (region: string, instanceIds: readonly string[], key: string, value: string) => Promise<void>;
}

/** Of one call of SendCommand. */
const mostAtOnce = 50;
const ended: readonly string[] = ['Success', 'Failed', 'TimedOut', 'Cancelled'];
export const releaseTag = 'espalier-release';

export function createAwsCommands(settings: AwsSettings, instances: AwsInstances): NodeCommands {
  const clients = new Map<string, Promise<{ ssm: SSMClient; sdk: typeof import('@aws-sdk/client-ssm') }>>();
  const connect = (region: string) => {
    const existing = clients.get(region);
    if (existing !== undefined) return existing;
    const created = import('@aws-sdk/client-ssm').then((sdk) => ({
      sdk,
      ssm: new sdk.SSMClient(clientSettings(settings, region)),
    }));
    clients.set(region, created);
    return created;
  };

  async function managedIds(region: string): Promise<ReadonlySet<string>> {
    const { ssm, sdk } = await connect(region);
    const found = new Set<string>();
    for await (const page of sdk.paginateDescribeInstanceInformation({ client: ssm }, {})) {
      for (const { InstanceId, PingStatus } of page.InstanceInformationList ?? [])
        if (InstanceId !== undefined && PingStatus === 'Online') found.add(InstanceId);
    }
    return found;
  }

  async function find({ region, trustDomain, role, names }: Omit<NodeCommand, 'id' | 'script' | 'timeoutSeconds'>) {
    const wanted = new Set(names);
    const listed = (await instances.list(region, trustDomain)).filter((one) => tagOf(one, 'espalier-role') === role);
    return listed.flatMap((one) => {
      const name = tagOf(one, 'espalier-name') ?? '';
      const { InstanceId: id } = one;
      return id !== undefined && wanted.has(name) && one.State?.Name === 'running' ? [{ name, id }] : [];
    });
  }

  return {
    async listNodes({ trustDomain, region, role }) {
      const listed = await instances.list(region, trustDomain);
      return listed
        .filter((one) => tagOf(one, 'espalier-role') === role && one.State?.Name !== 'shutting-down')
        .map((one): ListedNode => ({
          name: tagOf(one, 'espalier-name') ?? '',
          agentId: `spiffe://${trustDomain}/spire/agent/aws_iid/${settings.account}/${region}/${one.InstanceId ?? ''}`,
          isRunning: one.State?.Name === 'running',
          release: tagOf(one, releaseTag),
        }));
    },

    async beginCommand(command) {
      const { region, names, id, script, timeoutSeconds } = command;
      const { ssm, sdk } = await connect(region);
      const [found, managed] = await Promise.all([find(command), managedIds(region)]);
      const reachable = found.filter((one) => managed.has(one.id));
      const nodes: BegunCommand['nodes'][number][] = [];
      for (let index = 0; index < reachable.length; index += mostAtOnce) {
        const some = reachable.slice(index, index + mostAtOnce);
        const { Command: begun } = await ssm.send(
          new sdk.SendCommandCommand({
            DocumentName: 'AWS-RunShellScript',
            InstanceIds: some.map((one) => one.id),
            Comment: `espalier ${id}`.slice(0, 100),
            Parameters: { commands: [script], executionTimeout: [String(timeoutSeconds)] },
          }),
        );
        for (const one of some) nodes.push({ name: one.name, reference: `${begun?.CommandId ?? ''} ${one.id}` });
      }
      const begunNames = new Set(nodes.map(({ name }) => name));
      const running = new Set(found.map(({ name }) => name));
      const refused = names
        .filter((name) => !begunNames.has(name))
        .map((name) => ({
          name,
          isDone: false,
          said: running.has(name)
            ? 'Systems Manager does not manage it: its SSM agent is not online, or its role does not let it be'
            : 'it does not run',
        }));
      return { region, id, timeoutAt: Date.now() + (timeoutSeconds + 60) * 1000, nodes, refused };
    },

    async readCommand({ region, nodes }) {
      const { ssm, sdk } = await connect(region);
      const byReference = new Map(nodes.map(({ name, reference }) => [reference, name]));
      const commandIds = new Set(nodes.map(({ reference }) => reference.split(' ')[0] ?? ''));
      const outcomes: NodeOutcome[] = [];
      for (const CommandId of commandIds) {
        const pages = sdk.paginateListCommandInvocations({ client: ssm }, { CommandId, Details: true });
        for await (const { CommandInvocations: invocations } of pages) {
          for (const one of invocations ?? []) {
            const name = byReference.get(`${CommandId} ${one.InstanceId ?? ''}`);
            if (name !== undefined && ended.includes(one.Status ?? '')) outcomes.push(outcomeOf(name, one));
          }
        }
      }
      return outcomes;
    },

    async noteRelease({ release, ...where }) {
      const ids = (await find(where)).map(({ id }) => id);
      if (ids.length > 0) await instances.tag(where.region, ids, releaseTag, releaseLabel(release));
    },
  };
}

function outcomeOf(name: string, { Status, CommandPlugins }: CommandInvocation): NodeOutcome {
  const output = (CommandPlugins?.[0]?.Output ?? '').trim();
  if (Status === 'Success') return { name, isDone: true, said: output };
  return { name, isDone: false, said: `Run Command says ${Status ?? 'nothing'}${output === '' ? '' : `: ${output}`}` };
}

function tagOf({ Tags }: Ec2Instance, key: string): string | undefined {
  return (Tags ?? []).find((tag) => tag.Key === key)?.Value;
}
