// An instance as EC2's XML describes it.
import { encodeTags, vpcId } from './ec2-security-groups.ts';
import { timestamp } from './query.ts';
import type { XmlValue } from './query.ts';
import type { LabContext } from '../context.ts';
import { account, instanceProfileArn } from './state.ts';
import type { Ec2Instance, Ec2State } from './state.ts';

export const stateCodes: Readonly<Record<Ec2State, number>> = {
  pending: 0,
  running: 16,
  'shutting-down': 32,
  terminated: 48,
  stopping: 64,
  stopped: 80,
};

export function encodeState(state: Ec2State): XmlValue {
  return { code: stateCodes[state], name: state };
}

export function describeReservation(context: LabContext, instance: Ec2Instance): { readonly [name: string]: XmlValue } {
  return {
    reservationId: instance.reservationId,
    ownerId: account,
    groupSet: [],
    instancesSet: [describeInstance(context, instance)],
  };
}

export function describeInstance(context: LabContext, instance: Ec2Instance): XmlValue {
  const common = {
    instanceId: instance.id,
    imageId: instance.imageId,
    instanceState: encodeState(instance.state),
    instanceType: instance.instanceType,
    architecture: 'x86_64',
    amiLaunchIndex: 0,
    launchTime: timestamp(instance.launchTime),
    placement: { availabilityZone: instance.zone, tenancy: 'default' },
    clientToken: instance.clientToken,
    rootDeviceType: 'ebs',
    rootDeviceName: '/dev/sda1',
    tagSet: encodeTags(instance.tags),
    metadataOptions: {
      state: 'applied',
      httpTokens: instance.metadataOptions.httpTokens,
      httpPutResponseHopLimit: instance.metadataOptions.hopLimit,
      httpEndpoint: instance.metadataOptions.endpoint,
      httpProtocolIpv6: 'disabled',
      instanceMetadataTags: 'disabled',
    },
  };
  // A terminated instance has lost its address, its disk and its groups.
  return instance.state === 'terminated' ? common : { ...common, ...describeAttachments(context, instance) };
}

function describeAttachments(context: LabContext, instance: Ec2Instance): { readonly [name: string]: XmlValue } {
  const groupSet = context.state.aws.securityGroups
    .filter(({ id }) => instance.groupIds.includes(id))
    .map(({ id, name }) => ({ groupId: id, groupName: name }));
  const profile = context.state.aws.instanceProfiles.find(({ name }) => name === instance.profileName);
  const attachTime = timestamp(instance.attachedAt ?? instance.launchTime);
  const privateDnsName = `ip-${instance.machine.address.replaceAll('.', '-')}.ec2.internal`;
  return {
    privateIpAddress: instance.machine.address,
    privateDnsName,
    vpcId,
    subnetId: `subnet-0077${Buffer.from(instance.zone).toString('hex').slice(-13)}`,
    groupSet,
    iamInstanceProfile: profile === undefined ? undefined : { arn: instanceProfileArn(profile.name), id: profile.id },
    blockDeviceMapping: [
      {
        deviceName: '/dev/sda1',
        ebs: { volumeId: instance.volumeId, status: 'attached', attachTime, deleteOnTermination: true },
      },
    ],
    networkInterfaceSet: [
      {
        networkInterfaceId: instance.interfaceId,
        vpcId,
        ownerId: account,
        status: 'in-use',
        privateIpAddress: instance.machine.address,
        privateDnsName,
        groupSet,
        attachment: {
          attachmentId: instance.interfaceId.replace('eni-', 'eni-attach-'),
          deviceIndex: 0,
          status: 'attached',
          attachTime,
          deleteOnTermination: true,
        },
      },
    ],
  };
}
