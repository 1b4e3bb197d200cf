// EC2's actions on instances.
import { createHash } from 'node:crypto';
import { allocateMachine } from '../addresses.ts';
import { describeReservation, encodeState } from './ec2-describe.ts';
import { instanceMatches, parseFilters } from './ec2-filters.ts';
import { forgetOld, halt, launch, reboot, terminate } from './ec2-lifecycle.ts';
import { findGroup, readTags } from './ec2-security-groups.ts';
import { AwsError } from './errors.ts';
import type { AwsCall, QueryService } from './front-door.ts';
import { authorize } from './principals.ts';
import { paginate, timestamp } from './query.ts';
import type { Parameters, XmlValue } from './query.ts';
import { instanceProfileArn, resourceId, roleArn } from './state.ts';
import type { Ec2Instance, MetadataOptions } from './state.ts';

const largestUserData = 16_384;
const largestConsole = 65_536;

export const instanceActions: QueryService = {
  RunInstances(call, parameters) {
    authorize(call.principal, 'ec2:RunInstances', '*');
    const { context } = call;
    const clientToken = parameters.optional('ClientToken');
    const requestDigest = digestOf(parameters);
    const earlier = context.state.aws.instances.find(
      (one) => clientToken !== undefined && one.clientToken === clientToken && one.region === call.region,
    );
    if (earlier !== undefined) {
      if (earlier.requestDigest === requestDigest) return describeReservation(context, earlier);
      throw new AwsError(
        'IdempotentParameterMismatch',
        `the client token ${clientToken ?? ''} was used with other parameters`,
      );
    }
    const instance = createInstance(call, parameters, clientToken, requestDigest);
    context.state.aws.instances.push(instance);
    launch(context, instance);
    return describeReservation(context, instance);
  },

  DescribeInstances(call, parameters) {
    authorize(call.principal, 'ec2:DescribeInstances', '*');
    const { context } = call;
    forgetOld(context);
    const filters = parseFilters(parameters);
    const ids = parameters.strings('InstanceId');
    for (const id of ids) findInstance(call, id);
    const found = context.state.aws.instances.filter(
      (instance) =>
        instance.region === call.region &&
        (ids.length === 0 || ids.includes(instance.id)) &&
        instanceMatches(instance, context.state.aws.securityGroups, filters),
    );
    const { page, next } = paginate(
      found,
      parameters.optional('NextToken'),
      Number(parameters.optional('MaxResults') ?? 1000),
    );
    return { reservationSet: page.map((instance) => describeReservation(context, instance)), nextToken: next };
  },

  TerminateInstances: (call, parameters) =>
    change(call, parameters, 'TerminateInstances', (instance) => terminate(call.context, instance)),

  StopInstances: (call, parameters) =>
    change(call, parameters, 'StopInstances', (instance) => {
      if (instance.state === 'running') halt(call.context, instance);
    }),

  StartInstances: (call, parameters) =>
    change(call, parameters, 'StartInstances', (instance) => {
      if (instance.state === 'stopped') {
        instance.launchTime = wholeSeconds(call.context.clock());
        launch(call.context, instance);
      } else if (instance.state !== 'running')
        throw new AwsError('IncorrectInstanceState', `${instance.id} is ${instance.state}`);
    }),

  RebootInstances(call, parameters) {
    change(call, parameters, 'RebootInstances', (instance) => reboot(call.context, instance));
    return { return: true };
  },

  GetConsoleOutput(call, parameters) {
    authorize(call.principal, 'ec2:GetConsoleOutput', '*');
    const instance = findInstance(call, parameters.required('InstanceId'));
    const output = call.context.fleet.readConsole(instance.machine).subarray(-largestConsole);
    return { instanceId: instance.id, timestamp: timestamp(call.context.clock()), output: output.toString('base64') };
  },

  ModifyInstanceMetadataOptions(call, parameters) {
    authorize(call.principal, 'ec2:ModifyInstanceMetadataOptions', '*');
    const instance = findInstance(call, parameters.required('InstanceId'));
    Object.assign(instance.metadataOptions, readMetadataOptions(parameters, '', instance.metadataOptions));
    call.context.save();
    return { instanceId: instance.id };
  },

  ModifyInstanceAttribute(call, parameters) {
    authorize(call.principal, 'ec2:ModifyInstanceAttribute', '*');
    const instance = findInstance(call, parameters.required('InstanceId'));
    const groups = parameters.strings('GroupId');
    if (groups.length === 0)
      throw new AwsError('InvalidParameterCombination', "the lab changes an instance's groups, and nothing else of it");
    for (const id of groups) findGroup(call, id);
    instance.groupIds.splice(0, instance.groupIds.length, ...groups);
    call.context.save();
    return { return: true };
  },

  CreateTags(call, parameters) {
    authorize(call.principal, 'ec2:CreateTags', '*');
    const tags = parameters
      .items('Tag')
      .map((tag) => ({ key: tag.required('Key'), value: tag.optional('Value') ?? '' }));
    for (const instance of parameters.strings('ResourceId').map((id) => findInstance(call, id))) {
      instance.tags = [...instance.tags.filter(({ key }) => !tags.some((tag) => tag.key === key)), ...tags];
    }
    call.context.save();
    return { return: true };
  },
};

function createInstance(
  call: AwsCall,
  parameters: Parameters,
  clientToken: string | undefined,
  requestDigest: string,
): Ec2Instance {
  const { context, region } = call;
  if (parameters.required('MinCount') !== '1' || parameters.required('MaxCount') !== '1') {
    throw new AwsError(
      'InvalidParameterValue',
      'the lab starts one instance for each request: MinCount and MaxCount must be 1',
    );
  }
  const imageId = parameters.required('ImageId');
  if (!/^ami-[0-9a-z]{8,17}$/.test(imageId)) throw new AwsError('InvalidAMIID.Malformed', `invalid id: ${imageId}`);
  const bootScript = Buffer.from(parameters.optional('UserData') ?? '', 'base64').toString('utf8');
  if (Buffer.byteLength(bootScript) > largestUserData) {
    throw new AwsError(
      'InvalidParameterValue',
      `user data is limited to ${largestUserData} bytes, got ${Buffer.byteLength(bootScript)}`,
    );
  }
  const groupIds = parameters.strings('SecurityGroupId');
  for (const id of groupIds) findGroup(call, id);
  const zone = parameters.optional('Placement.AvailabilityZone') ?? `${region}a`;
  if (!new RegExp(`^${region}[a-c]$`).test(zone))
    throw new AwsError('InvalidParameterValue', `invalid availability zone: ${zone}`);
  const profileName = findProfile(call, parameters);
  const options = readMetadataOptions(parameters, 'MetadataOptions.', {
    httpTokens: 'optional',
    hopLimit: 1,
    endpoint: 'enabled',
  });
  const machine = allocateMachine(context, 'aws', bootScript);
  if (machine === undefined)
    throw new AwsError('InsufficientFreeAddressesInSubnet', 'the lab has no address left for an instance');
  return {
    region,
    zone,
    id: resourceId('i'),
    reservationId: resourceId('r'),
    imageId,
    instanceType: parameters.optional('InstanceType') ?? 'm1.small',
    launchTime: wholeSeconds(context.clock()),
    attachedAt: wholeSeconds(context.clock()),
    volumeId: resourceId('vol'),
    interfaceId: resourceId('eni'),
    groupIds,
    profileName,
    clientToken,
    requestDigest,
    metadataOptions: options,
    machine,
    tags: readTags(parameters, 'instance'),
    state: 'pending',
    terminatedAt: undefined,
  };
}

/** The instance profile by name or ARN; whoever gives an instance a role must be allowed to pass it. */
function findProfile(call: AwsCall, parameters: Parameters): string | undefined {
  const name = parameters.optional('IamInstanceProfile.Name');
  const arn = parameters.optional('IamInstanceProfile.Arn');
  if (name === undefined && arn === undefined) return undefined;
  const profile = call.context.state.aws.instanceProfiles.find(
    (one) => one.name === name || instanceProfileArn(one.name) === arn,
  );
  if (profile === undefined)
    throw new AwsError('InvalidParameterValue', `invalid IAM instance profile: ${name ?? arn ?? ''}`);
  if (profile.roleName !== undefined) authorize(call.principal, 'iam:PassRole', roleArn(profile.roleName));
  return profile.name;
}

function readMetadataOptions(parameters: Parameters, prefix: string, defaults: MetadataOptions): MetadataOptions {
  const httpTokens = parameters.optional(`${prefix}HttpTokens`) ?? defaults.httpTokens;
  const hopLimit = Number(parameters.optional(`${prefix}HttpPutResponseHopLimit`) ?? defaults.hopLimit);
  const endpoint = parameters.optional(`${prefix}HttpEndpoint`) ?? defaults.endpoint;
  if (httpTokens !== 'required' && httpTokens !== 'optional')
    throw new AwsError('InvalidParameterValue', `HttpTokens: ${httpTokens}`);
  if (!Number.isInteger(hopLimit) || hopLimit < 1 || hopLimit > 64)
    throw new AwsError('InvalidParameterValue', `HttpPutResponseHopLimit: ${hopLimit}`);
  if (endpoint !== 'enabled' && endpoint !== 'disabled')
    throw new AwsError('InvalidParameterValue', `HttpEndpoint: ${endpoint}`);
  return { httpTokens, hopLimit, endpoint };
}

function change(call: AwsCall, parameters: Parameters, action: string, act: (instance: Ec2Instance) => void): XmlValue {
  authorize(call.principal, `ec2:${action}`, '*');
  const instances = parameters.strings('InstanceId').map((id) => findInstance(call, id));
  return {
    instancesSet: instances.map((instance) => {
      const previousState = encodeState(instance.state);
      act(instance);
      return { instanceId: instance.id, currentState: encodeState(instance.state), previousState };
    }),
  };
}

function findInstance(call: AwsCall, id: string): Ec2Instance {
  const instance = call.context.state.aws.instances.find((one) => one.id === id && one.region === call.region);
  if (instance === undefined)
    throw new AwsError('InvalidInstanceID.NotFound', `the instance ID '${id}' does not exist`);
  return instance;
}

function digestOf(parameters: Parameters): string {
  return createHash('sha256').update(JSON.stringify(parameters.entries())).digest('hex');
}

/** EC2 says times to the second. */
function wholeSeconds(time: number): number {
  return Math.floor(time / 1000) * 1000;
}
