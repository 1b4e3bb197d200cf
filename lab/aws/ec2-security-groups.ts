// Security groups: kept and answered for. What they mean for a network is in instance-rules.ts.
import { AwsError } from './errors.ts';
import { faultOf } from '../instance/firewall.ts';
import { groupMatches, parseFilters } from './ec2-filters.ts';
import type { AwsCall, QueryService } from './front-door.ts';
import { authorize } from './principals.ts';
import type { Parameters, XmlValue } from './query.ts';
import { allow } from './instance-rules.ts';
import { account, resourceId } from './state.ts';
import type { AwsTag, IngressRule, SecurityGroup } from './state.ts';

export const vpcId = 'vpc-0077000000000077e';

export const securityGroupActions: QueryService = {
  CreateSecurityGroup(call, parameters) {
    authorize(call.principal, 'ec2:CreateSecurityGroup', '*');
    const name = parameters.required('GroupName');
    const { aws } = call.context.state;
    if (aws.securityGroups.some((group) => group.name === name && group.region === call.region)) {
      throw new AwsError('InvalidGroup.Duplicate', `the security group ${name} already exists`);
    }
    const group: SecurityGroup = {
      region: call.region,
      id: resourceId('sg'),
      name,
      description: parameters.required('GroupDescription'),
      tags: readTags(parameters, 'security-group'),
      ingress: [],
    };
    aws.securityGroups.push(group);
    call.context.save();
    return { return: true, groupId: group.id, tagSet: encodeTags(group.tags) };
  },

  DescribeSecurityGroups(call, parameters) {
    authorize(call.principal, 'ec2:DescribeSecurityGroups', '*');
    const filters = parseFilters(parameters);
    const ids = parameters.strings('GroupId');
    const here = call.context.state.aws.securityGroups.filter(({ region }) => region === call.region);
    for (const id of ids) findGroup(call, id);
    const found = here.filter((group) => (ids.length === 0 || ids.includes(group.id)) && groupMatches(group, filters));
    return { securityGroupInfo: found.map(describeGroup) };
  },

  DeleteSecurityGroup(call, parameters) {
    authorize(call.principal, 'ec2:DeleteSecurityGroup', '*');
    const group = findGroup(call, parameters.required('GroupId'));
    const { aws } = call.context.state;
    if (aws.instances.some((instance) => instance.state !== 'terminated' && instance.groupIds.includes(group.id))) {
      throw new AwsError('DependencyViolation', `resource ${group.id} has a dependent object`);
    }
    aws.securityGroups = aws.securityGroups.filter((other) => other !== group);
    call.context.save();
    return { return: true, groupId: group.id };
  },

  AuthorizeSecurityGroupIngress(call, parameters) {
    authorize(call.principal, 'ec2:AuthorizeSecurityGroupIngress', '*');
    const group = findGroup(call, parameters.required('GroupId'));
    const rules = readRules(parameters);
    for (const { groupId } of rules) if (groupId !== undefined) findGroup(call, groupId);
    const duplicate = rules.find((rule) => group.ingress.some((other) => sameRule(rule, other)));
    if (duplicate !== undefined)
      throw new AwsError(
        'InvalidPermission.Duplicate',
        `the rule for ${peerOf(duplicate)} port ${duplicate.fromPort} already exists`,
      );
    group.ingress.push(...rules);
    call.context.save();
    return { return: true };
  },

  RevokeSecurityGroupEgress(call, parameters) {
    authorize(call.principal, 'ec2:RevokeSecurityGroupEgress', '*');
    const group = findGroup(call, parameters.required('GroupId'));
    if (group.egressRevoked === true) throw new AwsError('InvalidPermission.NotFound', 'the rule does not exist');
    group.egressRevoked = true;
    call.context.save();
    return { return: true };
  },

  RevokeSecurityGroupIngress(call, parameters) {
    authorize(call.principal, 'ec2:RevokeSecurityGroupIngress', '*');
    const group = findGroup(call, parameters.required('GroupId'));
    const rules = readRules(parameters);
    const missing = rules.find((rule) => !group.ingress.some((other) => sameRule(rule, other)));
    if (missing !== undefined)
      throw new AwsError('InvalidPermission.NotFound', `no rule for ${peerOf(missing)} port ${missing.fromPort}`);
    group.ingress = group.ingress.filter((other) => !rules.some((rule) => sameRule(rule, other)));
    call.context.save();
    return { return: true };
  },
};

export function findGroup(call: AwsCall, id: string): SecurityGroup {
  const group = call.context.state.aws.securityGroups.find((one) => one.id === id && one.region === call.region);
  if (group === undefined) throw new AwsError('InvalidGroup.NotFound', `the security group '${id}' does not exist`);
  return group;
}

/** Tags that a request gives to what it creates, for one type of resource. */
export function readTags(parameters: Parameters, resourceType: string): AwsTag[] {
  return parameters
    .items('TagSpecification')
    .filter((specification) => specification.required('ResourceType') === resourceType)
    .flatMap((specification) => specification.items('Tag'))
    .map((tag) => ({ key: tag.required('Key'), value: tag.optional('Value') ?? '' }));
}

export function encodeTags(tags: readonly AwsTag[]): XmlValue {
  return tags.map(({ key, value }) => ({ key, value }));
}

function readRules(parameters: Parameters): IngressRule[] {
  const rules = parameters.items('IpPermissions').flatMap((permission): IngressRule[] => {
    const what = {
      protocol: permission.required('IpProtocol'),
      fromPort: Number(permission.optional('FromPort') ?? -1),
      toPort: Number(permission.optional('ToPort') ?? -1),
    };
    return [
      ...permission.items('IpRanges').map((range) => ({ ...what, cidr: range.required('CidrIp') })),
      ...permission.items('Groups').map((group) => ({ ...what, cidr: '', groupId: group.required('GroupId') })),
    ];
  });
  if (rules.length === 0)
    throw new AwsError('MissingParameter', 'the request must contain IpPermissions with IpRanges or Groups');
  for (const rule of rules) {
    const fault = faultOf(allow(rule, []));
    if (fault !== undefined) throw new AwsError('InvalidParameterValue', `the lab cannot enforce ${fault}`);
  }
  return rules;
}

function peerOf({ cidr, groupId }: IngressRule): string {
  return groupId ?? cidr;
}

function sameRule(a: IngressRule, b: IngressRule): boolean {
  return a.protocol === b.protocol && a.fromPort === b.fromPort && a.toPort === b.toPort && peerOf(a) === peerOf(b);
}

function describeGroup(group: SecurityGroup): XmlValue {
  return {
    ownerId: account,
    groupId: group.id,
    groupName: group.name,
    groupDescription: group.description,
    vpcId,
    ipPermissions: group.ingress.map((rule) => ({
      ipProtocol: rule.protocol,
      fromPort: rule.fromPort,
      toPort: rule.toPort,
      ...(rule.groupId === undefined
        ? { ipRanges: [{ cidrIp: rule.cidr }] }
        : { groups: [{ groupId: rule.groupId, userId: account }] }),
    })),
    ipPermissionsEgress:
      group.egressRevoked === true ? [] : [{ ipProtocol: '-1', ipRanges: [{ cidrIp: '0.0.0.0/0' }] }],
    tagSet: encodeTags(group.tags),
  };
}
