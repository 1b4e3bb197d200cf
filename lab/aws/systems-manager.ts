// Systems Manager as far as Run Command needs it: shell scripts on running instances whose role lets their agent be managed, and how they ended. The agent
// that a real instance runs is stood in for by the lab. Nothing of it outlives the lab's process: who asks for a command of an earlier lab is told that there
// is none, and sends it again.
import { randomUUID } from 'node:crypto';
import type { LabContext } from '../context.ts';
import { AwsError } from './errors.ts';
import type { AwsCall, JsonAction } from './front-door.ts';
import { optionalText, text, texts } from './json-input.ts';
import type { Input } from './json-input.ts';
import { authorize } from './principals.ts';
import { allows, parsePolicy } from './policy.ts';
import { paginate } from './query.ts';
import { account } from './state.ts';
import type { Ec2Instance } from './state.ts';

type Status = 'Pending' | 'InProgress' | 'Success' | 'Failed' | 'TimedOut';

interface Invocation {
  readonly commandId: string;
  readonly instanceId: string;
  readonly region: string;
  readonly requestedAt: number;
  readonly comment: string;
  status: Status;
  code: number;
  stdout: string;
  stderr: string;
}

const document = 'AWS-RunShellScript';
const mostInstances = 50;
const largestParameters = 64 * 1024;
const defaultTimeoutSeconds = 3600;
/** What lists of invocations show of an output. */
const shownOutput = 2500;
const remembered = 1000;

const commandsOf = new WeakMap<LabContext, Map<string, Invocation[]>>();

export const systemsManager: Readonly<Record<string, JsonAction>> = {
  DescribeInstanceInformation(call, input) {
    authorize(call.principal, 'ssm:DescribeInstanceInformation', '*');
    const managed = instancesHere(call).filter((instance) => isManaged(call.context, instance));
    const { page, next } = paginate(managed, optionalText(input, 'NextToken'), Number(input['MaxResults'] ?? 50));
    return {
      InstanceInformationList: page.map(({ id, machine }) => ({
        InstanceId: id,
        PingStatus: 'Online',
        LastPingDateTime: call.context.clock() / 1000,
        PlatformType: 'Linux',
        ResourceType: 'EC2Instance',
        IPAddress: machine.address,
      })),
      ...(next === undefined ? {} : { NextToken: next }),
    };
  },

  SendCommand(call, input) {
    if (input['DocumentName'] !== document)
      throw new AwsError('InvalidDocument', `the lab has no document but ${document}`);
    const ids = texts(input, 'InstanceIds');
    if (ids.length === 0 || ids.length > mostInstances)
      throw new AwsError('ValidationException', `InstanceIds must name 1 to ${mostInstances} instances`);
    for (const id of ids)
      authorize(call.principal, 'ssm:SendCommand', `arn:aws:ec2:${call.region}:${account}:instance/${id}`);
    const parameters = (input['Parameters'] ?? {}) as Input;
    if (Buffer.byteLength(JSON.stringify(parameters)) > largestParameters)
      throw new AwsError('InvalidParameters', `parameters are limited to ${largestParameters} bytes`);
    const script = texts(parameters, 'commands').join('\n');
    if (script === '') throw new AwsError('InvalidParameters', 'commands are missing');
    const timeoutSeconds = Number(texts(parameters, 'executionTimeout')[0] ?? defaultTimeoutSeconds);
    const instances = ids.map((id) => {
      const found = instancesHere(call).find((instance) => instance.id === id);
      if (found === undefined || !isManaged(call.context, found))
        throw new AwsError('InvalidInstanceId', `instance ${id} is not in a valid state for account ${account}`);
      return found;
    });
    const commandId = randomUUID();
    const invocations = instances.map((instance): Invocation => ({
      commandId,
      instanceId: instance.id,
      region: call.region,
      requestedAt: call.context.clock(),
      comment: optionalText(input, 'Comment') ?? '',
      status: 'Pending',
      code: -1,
      stdout: '',
      stderr: '',
    }));
    remember(call.context, commandId, invocations);
    instances.forEach((instance, index) => {
      const invocation = invocations[index];
      if (invocation !== undefined) void perform(call.context, instance, invocation, script, timeoutSeconds);
    });
    return {
      Command: {
        CommandId: commandId,
        DocumentName: document,
        InstanceIds: ids,
        Status: 'Pending',
        RequestedDateTime: call.context.clock() / 1000,
        Comment: optionalText(input, 'Comment') ?? '',
      },
    };
  },

  ListCommandInvocations(call, input) {
    authorize(call.principal, 'ssm:ListCommandInvocations', '*');
    const id = text(input, 'CommandId');
    const found = (commandsOf.get(call.context)?.get(id) ?? []).filter(({ region }) => region === call.region);
    if (found.length === 0) throw new AwsError('InvalidCommandId', `there is no command ${id}`);
    const { page, next } = paginate(found, optionalText(input, 'NextToken'), Number(input['MaxResults'] ?? 50));
    return {
      CommandInvocations: page.map((one) => encode(one, input['Details'] === true)),
      ...(next === undefined ? {} : { NextToken: next }),
    };
  },
};

async function perform(
  context: LabContext,
  instance: Ec2Instance,
  invocation: Invocation,
  script: string,
  timeoutSeconds: number,
): Promise<void> {
  invocation.status = 'InProgress';
  try {
    const end = await context.fleet.run(instance.machine, script, timeoutSeconds * 1000);
    if (end === undefined || end.code === undefined) {
      invocation.status = 'TimedOut';
      return;
    }
    [invocation.code, invocation.stdout, invocation.stderr] = [end.code, end.stdout, end.stderr];
    invocation.status = end.code === 0 ? 'Success' : 'Failed';
  } catch (cause) {
    invocation.stderr = String(cause);
    invocation.status = 'Failed';
  }
}

function encode(
  { commandId, instanceId, requestedAt, comment, status, code, stdout, stderr }: Invocation,
  details: boolean,
) {
  const output = `${stdout}${stderr === '' ? '' : `\n----------ERROR-------\n${stderr}`}`;
  return {
    CommandId: commandId,
    InstanceId: instanceId,
    Comment: comment,
    DocumentName: document,
    RequestedDateTime: requestedAt / 1000,
    Status: status,
    StatusDetails: status,
    CommandPlugins: details
      ? [
          {
            Name: 'aws:runShellScript',
            Status: status,
            StatusDetails: status,
            ResponseCode: code,
            Output: output.slice(0, shownOutput),
          },
        ]
      : [],
  };
}

function remember(context: LabContext, commandId: string, invocations: Invocation[]): void {
  const commands = commandsOf.get(context) ?? new Map<string, Invocation[]>();
  commandsOf.set(context, commands);
  commands.set(commandId, invocations);
  const [oldest] = commands.keys();
  if (commands.size > remembered && oldest !== undefined) commands.delete(oldest);
}

/** Its agent comes to Systems Manager with the credentials of the instance's own role. */
function isManaged({ state }: LabContext, { profileName, state: power }: Ec2Instance): boolean {
  if (power !== 'running') return false;
  const profile = state.aws.instanceProfiles.find(({ name }) => name === profileName);
  const role = state.aws.roles.find(({ name }) => name === profile?.roleName);
  const statements = Object.values(role?.policies ?? {}).flatMap((policy) => parsePolicy(policy, 'identity'));
  return ['ssm:UpdateInstanceInformation', 'ssmmessages:OpenControlChannel', 'ec2messages:GetMessages'].every(
    (action) => allows(statements, { action, resource: '*' }),
  );
}

function instancesHere({ context, region }: AwsCall): readonly Ec2Instance[] {
  return context.state.aws.instances.filter((instance) => instance.region === region);
}
