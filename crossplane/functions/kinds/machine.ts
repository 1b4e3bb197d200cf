// What every machine of ours has in common, server or node: metadata for tokens only, one hop far, encrypted disks, no keys of people.
import type { Json } from '../composed.ts';

/** Tokens only, and one hop: what runs in a container of its own network cannot have them. An agent in a pod uses its node's network. */
export const awsMetadata: Json = { httpEndpoint: 'enabled', httpTokens: 'required', httpPutResponseHopLimit: 1 };

export const diskGigabytes = 20;

/** Everything but nodes: the upstream's machines are servers too. */
export function isServer(role: string): boolean {
  return !role.startsWith('node-');
}

export function awsDisks(rootDevice: string): readonly Json[] {
  return [
    {
      deviceName: rootDevice,
      ebs: { encrypted: 'true', volumeType: 'gp3', volumeSize: diskGigabytes, deleteOnTermination: 'true' },
    },
  ];
}

/** Google encrypts every disk. */
export function gcpDisks(image: string): readonly Json[] {
  return [{ boot: true, autoDelete: true, sourceImage: image, diskType: 'pd-balanced', diskSizeGb: diskGigabytes }];
}

export const gcpShielded: Json = { enableSecureBoot: true, enableVtpm: true, enableIntegrityMonitoring: true };

export function gcpMetadata(bootScript: string | undefined): Json {
  return {
    'block-project-ssh-keys': 'TRUE',
    'enable-oslogin': 'TRUE',
    ...(bootScript === undefined ? {} : { 'startup-script': bootScript }),
  };
}

export function awsUserData(bootScript: string | undefined): Json {
  return bootScript === undefined ? {} : { userData: Buffer.from(bootScript).toString('base64') };
}
