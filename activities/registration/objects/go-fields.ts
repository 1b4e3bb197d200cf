// Kubernetes' objects under the names that Go gives their fields, which are those of templates: JSON's `serviceAccountName` is `ServiceAccountName` there.
// What an object leaves out has its type's zero value, as in Go.
import { GoStruct } from '../template/value.ts';
import type { Value } from '../template/value.ts';

type Kind = 'string' | 'number' | 'boolean' | 'map' | 'list' | 'struct';
type Fields = Readonly<Record<string, Kind>>;

const objectMeta: Fields = {
  Name: 'string',
  GenerateName: 'string',
  Namespace: 'string',
  UID: 'string',
  ResourceVersion: 'string',
  Generation: 'number',
  Labels: 'map',
  Annotations: 'map',
  OwnerReferences: 'list',
  Finalizers: 'list',
};

const podSpec: Fields = {
  Volumes: 'list',
  InitContainers: 'list',
  Containers: 'list',
  EphemeralContainers: 'list',
  RestartPolicy: 'string',
  TerminationGracePeriodSeconds: 'number',
  ActiveDeadlineSeconds: 'number',
  DNSPolicy: 'string',
  NodeSelector: 'map',
  ServiceAccountName: 'string',
  AutomountServiceAccountToken: 'boolean',
  NodeName: 'string',
  HostNetwork: 'boolean',
  HostPID: 'boolean',
  HostIPC: 'boolean',
  HostUsers: 'boolean',
  ShareProcessNamespace: 'boolean',
  SecurityContext: 'struct',
  ImagePullSecrets: 'list',
  Hostname: 'string',
  Subdomain: 'string',
  Affinity: 'struct',
  SchedulerName: 'string',
  Tolerations: 'list',
  HostAliases: 'list',
  PriorityClassName: 'string',
  Priority: 'number',
  RuntimeClassName: 'string',
  EnableServiceLinks: 'boolean',
  PreemptionPolicy: 'string',
  OS: 'struct',
};

const nodeSpec: Fields = {
  PodCIDR: 'string',
  PodCIDRs: 'list',
  ProviderID: 'string',
  Unschedulable: 'boolean',
  Taints: 'list',
};

type Json = Readonly<Record<string, unknown>>;

export const metaOf = (object: Json): GoStruct => structOf('ObjectMeta', objectMeta, object);
export const podSpecOf = (object: Json): GoStruct => structOf('PodSpec', podSpec, object);
export const nodeSpecOf = (object: Json): GoStruct => structOf('NodeSpec', nodeSpec, object);

/** The struct of data that a template is filled in with: its fields are computed when they are asked for. */
export function dataOf(typeName: string, fields: Readonly<Record<string, () => Value>>): GoStruct {
  return new GoStruct(typeName, (name) => {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return field === undefined ? undefined : { value: field() };
  });
}

function structOf(typeName: string, fields: Fields, object: Json): GoStruct {
  return new GoStruct(typeName, (name) => {
    const kind = Object.hasOwn(fields, name) ? fields[name] : undefined;
    return kind === undefined ? undefined : { value: fieldValue(kind, object[jsonName(name)]) };
  });
}

function fieldValue(kind: Kind, value: unknown): Value {
  switch (kind) {
    case 'string':
      return typeof value === 'string' ? value : '';
    case 'number':
      return typeof value === 'number' ? value : 0;
    case 'boolean':
      return value === true;
    case 'map':
      return isObject(value) ? (value as Readonly<Record<string, Value>>) : {};
    case 'list':
      return Array.isArray(value) ? value.map(nestedValue) : [];
    case 'struct':
      return isObject(value) ? nestedValue(value) : null;
  }
}

/** Deeper down the types are not known here: a field that is not there is nothing, and nothing cannot be printed. */
function nestedValue(value: unknown): Value {
  if (Array.isArray(value)) return value.map(nestedValue);
  if (!isObject(value)) return value as Value;
  return new GoStruct('part of an object', (name) => ({ value: nestedValue(value[jsonName(name)]) }));
}

const jsonNames = new Map<string, string>();

/** `DNSPolicy` is `dnsPolicy`, `UID` is `uid`, `HostIPC` is `hostIPC`: capitals at the beginning, but for the one that begins the next word. */
function jsonName(name: string): string {
  const known = jsonNames.get(name);
  if (known !== undefined) return known;
  const json = name.replace(/^[A-Z]+(?![a-z])|^[A-Z]/, (capitals) => capitals.toLowerCase());
  jsonNames.set(name, json);
  return json;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
