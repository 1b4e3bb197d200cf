// EC2's `Filter.n` parameters: a thing passes when, for every filter, one of its values matches one of the filter's.
import { AwsError } from './errors.ts';
import type { Parameters } from './query.ts';
import type { AwsTag, Ec2Instance, SecurityGroup } from './state.ts';

export interface Filter {
  readonly name: string;
  readonly values: readonly string[];
}

export function parseFilters(parameters: Parameters): Filter[] {
  return parameters.items('Filter').map((item) => ({ name: item.required('Name'), values: item.strings('Value') }));
}

export function instanceMatches(
  instance: Ec2Instance,
  groups: readonly SecurityGroup[],
  filters: readonly Filter[],
): boolean {
  const own = groups.filter(({ id }) => instance.groupIds.includes(id));
  return matches(filters, instance.tags, {
    'instance-id': [instance.id],
    'instance-state-name': [instance.state],
    'instance-type': [instance.instanceType],
    'image-id': [instance.imageId],
    'availability-zone': [instance.zone],
    'private-ip-address': [instance.machine.address],
    'client-token': instance.clientToken === undefined ? [] : [instance.clientToken],
    'instance.group-id': own.map(({ id }) => id),
    'instance.group-name': own.map(({ name }) => name),
  });
}

export function groupMatches(group: SecurityGroup, filters: readonly Filter[]): boolean {
  return matches(filters, group.tags, {
    'group-id': [group.id],
    'group-name': [group.name],
    description: [group.description],
  });
}

function matches(
  filters: readonly Filter[],
  tags: readonly AwsTag[],
  fields: Readonly<Record<string, readonly string[]>>,
): boolean {
  return filters.every(({ name, values }) => {
    const actual = valuesOf(name, tags, fields);
    return values.some((pattern) => actual.some((value) => matchesPattern(pattern, value)));
  });
}

function valuesOf(
  name: string,
  tags: readonly AwsTag[],
  fields: Readonly<Record<string, readonly string[]>>,
): readonly string[] {
  if (name === 'tag-key') return tags.map(({ key }) => key);
  if (name.startsWith('tag:'))
    return tags.filter(({ key }) => key === name.slice('tag:'.length)).map(({ value }) => value);
  const values = fields[name];
  if (values === undefined) throw new AwsError('InvalidParameterValue', `the lab has no filter ${name}`);
  return values;
}

function matchesPattern(pattern: string, text: string): boolean {
  if (!/[*?]/.test(pattern)) return pattern === text;
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${source}$`, 's').test(text);
}
