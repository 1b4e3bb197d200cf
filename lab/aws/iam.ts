// IAM as far as instances and federated callers need it: roles with their trust and inline policies, and instance profiles.
import { AwsError } from './errors.ts';
import type { AwsCall, QueryService } from './front-door.ts';
import { parsePolicy } from './policy.ts';
import { authorize, findRole } from './principals.ts';
import { paginate, timestamp } from './query.ts';
import type { Parameters, XmlValue } from './query.ts';
import { instanceProfileArn, randomName, roleArn } from './state.ts';
import type { AwsRole, InstanceProfile } from './state.ts';

const nameRule = /^[\w+=,.@-]{1,64}$/;

export const iam: QueryService = {
  CreateRole(call, parameters) {
    const name = parseName(parameters.required('RoleName'));
    authorize(call.principal, 'iam:CreateRole', roleArn(name));
    const { aws } = call.context.state;
    if (aws.roles.some((role) => role.name === name)) throw exists(`role with name ${name}`);
    const trustPolicy = parameters.required('AssumeRolePolicyDocument');
    parsePolicy(trustPolicy, 'trust');
    const role: AwsRole = {
      name,
      id: `AROA${randomName(17)}`,
      createdAt: call.context.clock(),
      trustPolicy,
      policies: {},
    };
    aws.roles.push(role);
    call.context.save();
    return { Role: describeRole(role) };
  },

  GetRole(call, parameters) {
    return { Role: describeRole(roleFor(call, parameters, 'iam:GetRole')) };
  },

  ListRoles(call, parameters) {
    authorize(call.principal, 'iam:ListRoles', '*');
    const { page, next } = paginate(
      call.context.state.aws.roles,
      parameters.optional('Marker'),
      Number(parameters.optional('MaxItems') ?? 100),
    );
    return { Roles: page.map(describeRole), IsTruncated: next !== undefined, Marker: next };
  },

  UpdateAssumeRolePolicy(call, parameters) {
    const role = roleFor(call, parameters, 'iam:UpdateAssumeRolePolicy');
    const trustPolicy = parameters.required('PolicyDocument');
    parsePolicy(trustPolicy, 'trust');
    role.trustPolicy = trustPolicy;
    call.context.save();
    return {};
  },

  DeleteRole(call, parameters) {
    const role = roleFor(call, parameters, 'iam:DeleteRole');
    const { aws } = call.context.state;
    if (Object.keys(role.policies).length > 0)
      throw new AwsError('DeleteConflict', `role ${role.name} has inline policies`, 409);
    if (aws.instanceProfiles.some(({ roleName }) => roleName === role.name)) {
      throw new AwsError('DeleteConflict', `role ${role.name} is in an instance profile`, 409);
    }
    aws.roles = aws.roles.filter((other) => other !== role);
    call.context.save();
    return {};
  },

  PutRolePolicy(call, parameters) {
    const role = roleFor(call, parameters, 'iam:PutRolePolicy');
    const document = parameters.required('PolicyDocument');
    parsePolicy(document, 'identity');
    role.policies[parseName(parameters.required('PolicyName'))] = document;
    call.context.save();
    return {};
  },

  GetRolePolicy(call, parameters) {
    const role = roleFor(call, parameters, 'iam:GetRolePolicy');
    const name = parameters.required('PolicyName');
    const document = role.policies[name];
    if (document === undefined) throw missing(`role policy ${name}`);
    return { RoleName: role.name, PolicyName: name, PolicyDocument: encodeURIComponent(document) };
  },

  ListRolePolicies(call, parameters) {
    return { PolicyNames: Object.keys(roleFor(call, parameters, 'iam:ListRolePolicies').policies), IsTruncated: false };
  },

  DeleteRolePolicy(call, parameters) {
    const role = roleFor(call, parameters, 'iam:DeleteRolePolicy');
    const name = parameters.required('PolicyName');
    if (role.policies[name] === undefined) throw missing(`role policy ${name}`);
    Reflect.deleteProperty(role.policies, name);
    call.context.save();
    return {};
  },

  CreateInstanceProfile(call, parameters) {
    const name = parseName(parameters.required('InstanceProfileName'));
    authorize(call.principal, 'iam:CreateInstanceProfile', instanceProfileArn(name));
    const { aws } = call.context.state;
    if (aws.instanceProfiles.some((profile) => profile.name === name)) throw exists(`instance profile ${name}`);
    const profile: InstanceProfile = {
      name,
      id: `AIPA${randomName(17)}`,
      createdAt: call.context.clock(),
      roleName: undefined,
    };
    aws.instanceProfiles.push(profile);
    call.context.save();
    return { InstanceProfile: describeProfile(call, profile) };
  },

  GetInstanceProfile(call, parameters) {
    return { InstanceProfile: describeProfile(call, profileFor(call, parameters, 'iam:GetInstanceProfile')) };
  },

  ListInstanceProfiles(call) {
    authorize(call.principal, 'iam:ListInstanceProfiles', '*');
    return {
      InstanceProfiles: call.context.state.aws.instanceProfiles.map((profile) => describeProfile(call, profile)),
      IsTruncated: false,
    };
  },

  AddRoleToInstanceProfile(call, parameters) {
    const profile = profileFor(call, parameters, 'iam:AddRoleToInstanceProfile');
    const role = findRole(call.context, parameters.required('RoleName'));
    authorize(call.principal, 'iam:PassRole', roleArn(role.name));
    if (profile.roleName !== undefined)
      throw new AwsError('LimitExceeded', `instance profile ${profile.name} has a role already`, 409);
    profile.roleName = role.name;
    call.context.save();
    return {};
  },

  RemoveRoleFromInstanceProfile(call, parameters) {
    const profile = profileFor(call, parameters, 'iam:RemoveRoleFromInstanceProfile');
    const name = parameters.required('RoleName');
    if (profile.roleName !== name) throw missing(`role ${name} in instance profile ${profile.name}`);
    profile.roleName = undefined;
    call.context.save();
    return {};
  },

  DeleteInstanceProfile(call, parameters) {
    const profile = profileFor(call, parameters, 'iam:DeleteInstanceProfile');
    const { aws } = call.context.state;
    if (profile.roleName !== undefined)
      throw new AwsError('DeleteConflict', `instance profile ${profile.name} has a role`, 409);
    aws.instanceProfiles = aws.instanceProfiles.filter((other) => other !== profile);
    call.context.save();
    return {};
  },
};

function roleFor(call: AwsCall, parameters: Parameters, action: string): AwsRole {
  const name = parameters.required('RoleName');
  authorize(call.principal, action, roleArn(name));
  return findRole(call.context, name);
}

function profileFor(call: AwsCall, parameters: Parameters, action: string): InstanceProfile {
  const name = parameters.required('InstanceProfileName');
  authorize(call.principal, action, instanceProfileArn(name));
  const profile = call.context.state.aws.instanceProfiles.find((one) => one.name === name);
  if (profile === undefined) throw missing(`instance profile ${name}`);
  return profile;
}

function describeRole(role: AwsRole): XmlValue {
  return {
    Path: '/',
    RoleName: role.name,
    RoleId: role.id,
    Arn: roleArn(role.name),
    CreateDate: timestamp(role.createdAt),
    AssumeRolePolicyDocument: encodeURIComponent(role.trustPolicy),
  };
}

function describeProfile({ context }: AwsCall, profile: InstanceProfile): XmlValue {
  return {
    Path: '/',
    InstanceProfileName: profile.name,
    InstanceProfileId: profile.id,
    Arn: instanceProfileArn(profile.name),
    CreateDate: timestamp(profile.createdAt),
    Roles: context.state.aws.roles.filter(({ name }) => name === profile.roleName).map(describeRole),
  };
}

function parseName(name: string): string {
  if (!nameRule.test(name)) throw new AwsError('ValidationError', `not a name for IAM: ${name}`);
  return name;
}

function exists(what: string): AwsError {
  return new AwsError('EntityAlreadyExists', `${what} already exists`, 409);
}

function missing(what: string): AwsError {
  return new AwsError('NoSuchEntity', `${what} cannot be found`, 404);
}
