// Selector values of an attested EC2 instance: what its document says, and what AWS adds.
import { undecided } from '../attest-error.ts';
import type { IdentityDocument } from './identity-document.ts';
import type { InstanceRecord } from './instance-record.ts';

/** Sorted and unique. A tag without a value keeps its colon, as in SPIRE. */
export function selectorValues(
  document: IdentityDocument,
  record: InstanceRecord,
  roleArns: readonly string[],
): string[] {
  const values = [
    `account_id:${document.accountId}`,
    `az:${document.availabilityZone}`,
    `image:id:${document.imageId}`,
    `instance:id:${document.instanceId}`,
    `region:${document.region}`,
    ...Object.entries(record.tags).map(([key, value]) => `tag:${key}:${value}`),
    ...record.securityGroups.flatMap(({ id, name }) => [`sg:id:${id}`, `sg:name:${name}`]),
    ...roleArns.map((arn) => `iamrole:${arn}`),
  ];
  return [...new Set(values)].sort();
}

/** The name in `arn:aws:iam::<account>:instance-profile/<path…>/<name>`. */
export function profileNameOf(arn: string): string {
  const name = /^arn:[^:]*:iam:[^:]*:[^:]*:instance-profile[/:](?:.*\/)?([^/]+)$/.exec(arn)?.[1];
  if (name === undefined) throw undecided('CLOUD_UNAVAILABLE', 'AWS named an instance profile whose ARN is not one');
  return name;
}
