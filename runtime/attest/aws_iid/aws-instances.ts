// Asks EC2 and IAM about an instance. The SDKs are loaded at the first question: a server that attests no AWS node never loads them.
import type * as Ec2 from '@aws-sdk/client-ec2';
import type * as Iam from '@aws-sdk/client-iam';
import { undecided } from '../attest-error.ts';
import type { AttestError } from '../attest-error.ts';
import type { AttestLog } from '../attestor.ts';
import { credentialsFor } from './credentials.ts';
import type { CredentialSources } from './credentials.ts';
import type { IdentityDocument } from './identity-document.ts';
import type { AwsInstances, InstanceRecord } from './instance-record.ts';
import type { AwsIidConfig } from './server-config.ts';

interface Clients {
  readonly ec2: Ec2.EC2Client;
  readonly iam: Iam.IAMClient;
  readonly sdk: {
    readonly ec2: typeof Ec2;
    readonly iam: typeof Iam;
  };
}

const timeoutMs = 20_000;
const notFound = new Set(['InvalidInstanceID.NotFound', 'InvalidInstanceID.Malformed']);

export function createAwsInstances(
  config: AwsIidConfig,
  deps: { readonly log: AttestLog } & Partial<CredentialSources>,
): AwsInstances {
  const { log, fetch = globalThis.fetch, env = process.env } = deps;
  /** By place: its regions and accounts come from documents that AWS signed, so they are few. */
  const kept = new Map<string, Promise<Clients>>();

  function clientsFor({ region, accountId }: IdentityDocument): Promise<Clients> {
    const place = config.assume_role === undefined ? region : `${region} ${accountId}`;
    const found = kept.get(place) ?? createClients(config, { region, accountId }, { fetch, env });
    kept.set(place, found);
    return found;
  }

  /** What AWS said goes into the log: the caller, whom nobody knows yet, learns its name only. */
  function failed(what: string, document: IdentityDocument, cause: unknown): AttestError {
    log.warn({ error: cause, instance: document.instanceId, region: document.region }, `failed to ${what}`);
    return undecided(
      'CLOUD_UNAVAILABLE',
      `failed to ${what}: ${cause instanceof Error ? cause.name : 'unknown error'}`,
      cause,
    );
  }

  return {
    async find(document, signal) {
      try {
        const { ec2, sdk } = await clientsFor(document);
        const request = {
          InstanceIds: [document.instanceId],
          Filters: [{ Name: 'instance-state-name', Values: ['pending', 'running'] }],
        };
        const answer = await ec2.send(new sdk.ec2.DescribeInstancesCommand(request), { abortSignal: timed(signal) });
        const [reservation] = answer.Reservations ?? [];
        const [instance] = reservation?.Instances ?? [];
        return reservation === undefined || instance === undefined ? undefined : recordOf(instance, reservation);
      } catch (cause) {
        if (cause instanceof Error && notFound.has(cause.name)) return undefined;
        throw failed('describe instance', document, cause);
      }
    },

    async roleArns(document, profileName, signal) {
      try {
        const { iam, sdk } = await clientsFor(document);
        const request = new sdk.iam.GetInstanceProfileCommand({ InstanceProfileName: profileName });
        const { InstanceProfile } = await iam.send(request, { abortSignal: timed(signal) });
        return (InstanceProfile?.Roles ?? []).flatMap(({ Arn }) => Arn ?? []);
      } catch (cause) {
        throw failed('get instance profile', document, cause);
      }
    },
  };
}

async function createClients(
  config: AwsIidConfig,
  place: { readonly region: string; readonly accountId: string },
  sources: CredentialSources,
): Promise<Clients> {
  const [ec2, iam] = await Promise.all([import('@aws-sdk/client-ec2'), import('@aws-sdk/client-iam')]);
  const credentials = credentialsFor(config, place, sources);
  const settings = { region: place.region, ...(credentials === undefined ? {} : { credentials }) };
  return { ec2: new ec2.EC2Client(settings), iam: new iam.IAMClient(settings), sdk: { ec2, iam } };
}

function timed(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
}

function recordOf(instance: Ec2.Instance, reservation: Ec2.Reservation): InstanceRecord {
  return {
    instanceId: instance.InstanceId,
    accountId: reservation.OwnerId,
    tags: Object.fromEntries(
      (instance.Tags ?? []).flatMap(({ Key, Value }) => (Key === undefined ? [] : [[Key, Value ?? '']])),
    ),
    securityGroups: (instance.SecurityGroups ?? []).map(({ GroupId, GroupName }) => ({
      id: GroupId ?? '',
      name: GroupName ?? '',
    })),
    instanceProfileArn: instance.IamInstanceProfile?.Arn,
    rootDevice: { type: instance.RootDeviceType, name: instance.RootDeviceName },
    volumes: (instance.BlockDeviceMappings ?? []).map(({ DeviceName, Ebs }) => ({
      deviceName: DeviceName,
      attachedAt: Ebs?.AttachTime,
    })),
    networkInterfaces: (instance.NetworkInterfaces ?? []).map(({ Attachment }) => ({
      deviceIndex: Attachment?.DeviceIndex,
      attachedAt: Attachment?.AttachTime,
    })),
  };
}
