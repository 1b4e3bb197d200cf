// Compute Engine's instances: inserted, read, changed and deleted over REST.
import { createHash } from 'node:crypto';
import { allocateMachine } from '../addresses.ts';
import { encodeInstance, metadataFingerprintOf, tagsFingerprintOf } from './compute-encode.ts';
import { halt, launch, remove, reset } from './compute-lifecycle.ts';
import { beginOperation, encodeOperation, findEarlier, finishOperation, linkOf } from './compute-operations.ts';
import { GcpError } from './errors.ts';
import { invalid, object, objects, optionalText, paginate, text, textMap, texts } from './fields.ts';
import type { Body } from './fields.ts';
import type { GcpCall, Route } from './front-door.ts';
import { authorize } from './principals.ts';
import { numericId, project } from './state.ts';
import type { GceInstance, Operation } from './state.ts';

const collection = '/compute/v1/projects/{project}/zones/{zone}/instances';
const largestValue = 262_144;
const largestSerialOutput = 1024 * 1024;

export const instanceRoutes: readonly Route[] = [
  { route: `POST ${collection}`, answer: insert },
  {
    route: `GET ${collection}`,
    answer({ context, principal, query, part }) {
      authorize(context, principal, 'compute.instances.list', project);
      const zone = parseZone(part('zone'));
      const matches = parseFilter(query.get('filter') ?? '');
      const found = context.state.gcp.instances.filter((instance) => instance.zone === zone && matches(instance));
      const { page, ...more } = paginate(found, query, 'maxResults');
      return {
        kind: 'compute#instanceList',
        id: `projects/${project}/zones/${zone}/instances`,
        items: page.map((instance) => encodeInstance(context, instance)),
        ...more,
      };
    },
  },
  {
    route: 'GET /compute/v1/projects/{project}/aggregated/instances',
    answer({ context, principal, query }) {
      authorize(context, principal, 'compute.instances.list', project);
      const matches = parseFilter(query.get('filter') ?? '');
      const items: Record<string, { instances: object[] }> = {};
      for (const instance of context.state.gcp.instances.filter((one) => matches(one)))
        (items[`zones/${instance.zone}`] ??= { instances: [] }).instances.push(encodeInstance(context, instance));
      return { kind: 'compute#instanceAggregatedList', id: `projects/${project}/aggregated/instances`, items };
    },
  },
  {
    route: `GET ${collection}/{instance}`,
    answer: (call) => encodeInstance(call.context, find(call, 'compute.instances.get')),
  },
  {
    route: `DELETE ${collection}/{instance}`,
    answer: (call) => change(call, 'delete', (instance, operation) => remove(call.context, instance, operation)),
  },
  {
    route: `POST ${collection}/{instance}/stop`,
    answer: (call) =>
      change(call, 'stop', (instance, operation) => {
        if (instance.status === 'RUNNING') halt(call.context, instance, operation);
        else finishOperation(call.context, operation);
      }),
  },
  {
    route: `POST ${collection}/{instance}/start`,
    answer: (call) =>
      change(call, 'start', (instance, operation) => {
        if (instance.status === 'TERMINATED') {
          instance.startedAt = call.context.clock();
          launch(call.context, instance, operation);
        } else finishOperation(call.context, operation);
      }),
  },
  {
    route: `POST ${collection}/{instance}/reset`,
    answer: (call) => change(call, 'reset', (instance, operation) => reset(call.context, instance, operation)),
  },
  {
    route: `POST ${collection}/{instance}/setLabels`,
    answer: (call) =>
      change(call, 'setLabels', (instance, operation) => {
        if (text(call.body, 'labelFingerprint') !== fingerprintOf(instance))
          throw new GcpError('ABORTED', 'Labels fingerprint either invalid or resource labels have changed');
        instance.labels = checkLabels(textMap(call.body, 'labels'));
        instance.fingerprint += 1;
        finishOperation(call.context, operation);
      }),
  },
  {
    route: `POST ${collection}/{instance}/setTags`,
    answer: (call) =>
      change(call, 'setTags', (instance, operation) => {
        if (text(call.body, 'fingerprint') !== tagsFingerprintOf(instance))
          throw new GcpError('ABORTED', 'Supplied fingerprint does not match current tags fingerprint.');
        instance.tags = [...texts(call.body, 'items')];
        finishOperation(call.context, operation);
      }),
  },
  {
    route: `POST ${collection}/{instance}/setMetadata`,
    answer: (call) =>
      change(call, 'setMetadata', (instance, operation) => {
        if (text(call.body, 'fingerprint') !== metadataFingerprintOf(instance))
          throw new GcpError('ABORTED', 'Supplied fingerprint does not match current metadata fingerprint.');
        instance.metadata = readMetadata(call.body);
        finishOperation(call.context, operation);
      }),
  },
  {
    route: `GET ${collection}/{instance}/getGuestAttributes`,
    answer(call) {
      const instance = find(call, 'compute.instances.getGuestAttributes');
      const queryPath = call.query.get('queryPath') ?? '';
      const items = Object.entries(instance.guestAttributes ?? {})
        .filter(([path]) => path.startsWith(queryPath))
        .map(([path, value]) => {
          const [namespace = '', key = ''] = path.split('/');
          return { namespace, key, value };
        });
      if (items.length === 0)
        throw new GcpError('NOT_FOUND', `The resource '${queryPath}' of type 'Guest Attribute' was not found.`);
      return { kind: 'compute#guestAttributes', queryPath, queryValue: { items } };
    },
  },
  {
    route: `GET ${collection}/{instance}/serialPort`,
    answer(call) {
      const instance = find(call, 'compute.instances.getSerialPortOutput');
      const output = call.context.fleet.readConsole(instance.machine);
      const oldest = Math.max(0, output.length - largestSerialOutput);
      const start = Math.min(output.length, Math.max(oldest, Number(call.query.get('start') ?? '0')));
      // Ports 2 to 4 exist and say nothing.
      const contents = (call.query.get('port') ?? '1') === '1' ? output.subarray(start) : Buffer.alloc(0);
      return {
        kind: 'compute#serialPortOutput',
        contents: contents.toString('utf8'),
        start: String(start),
        next: String(start + contents.length),
        selfLink: linkOf(call.context, `zones/${instance.zone}/instances/${instance.name}/serialPort`),
      };
    },
  },
];

function insert(call: GcpCall): object {
  const { context, principal, body, query, part } = call;
  authorize(context, principal, 'compute.instances.create', project);
  const zone = parseZone(part('zone'));
  const requestId = query.get('requestId') ?? undefined;
  const requestDigest = digestOf('instances.insert', zone, body);
  const earlier = findEarlier(context, requestId, requestDigest);
  if (earlier !== undefined) return encodeOperation(context, earlier);
  const instance = createInstance(call, zone);
  context.state.gcp.instances.push(instance);
  const target = `zones/${zone}/instances/${instance.name}`;
  const operation = beginOperation(context, {
    zone,
    type: 'insert',
    target,
    targetId: instance.id,
    requestId,
    requestDigest,
  });
  launch(context, instance, operation);
  return encodeOperation(context, operation);
}

function createInstance({ context, principal, body }: GcpCall, zone: string): GceInstance {
  const name = text(body, 'name');
  if (!/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) throw invalid('resource.name', `'${name}'`);
  if (context.state.gcp.instances.some((one) => one.name === name && one.zone === zone)) {
    throw new GcpError(
      'ALREADY_EXISTS',
      `The resource 'projects/${project}/zones/${zone}/instances/${name}' already exists`,
    );
  }
  if (objects(body, 'disks').length === 0) throw invalid('resource.disks', 'at least one boot disk is needed');
  if (objects(body, 'networkInterfaces').length === 0)
    throw invalid('resource.networkInterfaces', 'at least one network interface is required');
  const metadata = readMetadata(object(body, 'metadata'));
  const [account] = objects(body, 'serviceAccounts');
  const email = account === undefined ? undefined : text(account, 'email');
  const known = context.state.gcp.serviceAccounts.find((one) => one.email === email);
  if (email !== undefined && known === undefined)
    throw invalid('resource.serviceAccounts', `the service account '${email}' was not found`);
  if (known !== undefined) authorize(context, principal, 'iam.serviceAccounts.actAs', known.email, known.policy);
  const labels = checkLabels(textMap(body, 'labels'));
  const machineType = text(body, 'machineType');
  const tags = [...texts(object(body, 'tags'), 'items')];
  const machine = allocateMachine(context, 'gcp', metadata['startup-script'] ?? '');
  if (machine === undefined) throw new GcpError('RESOURCE_EXHAUSTED', 'the lab has no address left for an instance');
  return {
    id: numericId(),
    name,
    zone,
    createdAt: context.clock(),
    machineType: machineType.slice(machineType.lastIndexOf('/') + 1),
    machine,
    serviceAccount:
      known === undefined || account === undefined
        ? undefined
        : { email: known.email, scopes: texts(account, 'scopes') },
    metadata,
    labels,
    tags,
    description: optionalText(body, 'description') ?? '',
    fingerprint: 1,
    status: 'PROVISIONING',
    removing: false,
  };
}

function readMetadata(metadata: Body): Record<string, string> {
  const items = objects(metadata, 'items').map((item): [string, string] => [
    text(item, 'key'),
    optionalText(item, 'value') ?? '',
  ]);
  for (const [key, value] of items) {
    if (!/^[\w-]{1,128}$/.test(key)) throw invalid('metadata.items.key', `'${key}'`);
    if (Buffer.byteLength(value) > largestValue)
      throw invalid(`metadata.items.${key}`, `is limited to ${largestValue} bytes`);
  }
  return Object.fromEntries(items);
}

function checkLabels(labels: Record<string, string>): Record<string, string> {
  for (const [key, value] of Object.entries(labels)) {
    if (!/^[a-z][a-z0-9_-]{0,62}$/.test(key)) throw invalid('labels', `'${key}' is not a label's key`);
    if (!/^[a-z0-9_-]{0,63}$/.test(value)) throw invalid(`labels.${key}`, `'${value}' is not a label's value`);
  }
  return labels;
}

/** An operation on an existing instance; the same request id again is answered with the first's operation. */
function change(call: GcpCall, type: string, act: (instance: GceInstance, operation: Operation) => void): object {
  const { context, query } = call;
  const requestId = query.get('requestId') ?? undefined;
  const zone = parseZone(call.part('zone'));
  const requestDigest = digestOf(type, `${zone}/${call.part('instance')}`, call.body);
  authorize(context, call.principal, `compute.instances.${type}`, project);
  const earlier = findEarlier(context, requestId, requestDigest);
  if (earlier !== undefined) return encodeOperation(context, earlier);
  const instance = find(call, `compute.instances.${type}`);
  const target = `zones/${zone}/instances/${instance.name}`;
  const operation = beginOperation(context, { zone, type, target, targetId: instance.id, requestId, requestDigest });
  try {
    act(instance, operation);
  } catch (cause) {
    finishOperation(context, operation, String(cause));
    throw cause;
  }
  return encodeOperation(context, operation);
}

function find({ context, principal, part }: GcpCall, permission: string): GceInstance {
  authorize(context, principal, permission, project);
  const zone = parseZone(part('zone'));
  const name = part('instance');
  const instance = context.state.gcp.instances.find(
    (one) => one.zone === zone && (one.name === name || one.id === name),
  );
  if (instance === undefined)
    throw new GcpError('NOT_FOUND', `The resource 'projects/${project}/zones/${zone}/instances/${name}' was not found`);
  return instance;
}

function parseZone(zone: string): string {
  if (!/^[a-z]+-[a-z]+\d{1,2}-[a-f]$/.test(zone)) throw invalid('zone', `'${zone}' is not a zone`);
  return zone;
}

/** `labels.k=v`, `name=v` and `status=v`, joined by AND; the lab knows no more of the filter language. */
function parseFilter(filter: string): (instance: GceInstance) => boolean {
  const terms = filter.split(/\s+AND\s+|\)\s*\(/).map((term) => term.replace(/^[\s(]+|[\s)]+$/g, '')).filter((term) => term !== ''); // prettier-ignore
  const tests = terms.map((term) => {
    const match = /^(labels\.([a-z0-9_-]+)|name|status)\s*(?:=|eq)\s*"?([^"\s]*)"?$/.exec(term);
    if (match === null) throw invalid('filter', `'${term}' is not a filter that the lab knows`);
    const [, field, label, value] = match;
    return (instance: GceInstance) =>
      (label !== undefined ? instance.labels[label] : field === 'name' ? instance.name : instance.status) === value;
  });
  return (instance) => tests.every((test) => test(instance));
}

function fingerprintOf(instance: GceInstance): string {
  return Buffer.from(String(instance.fingerprint)).toString('base64');
}

function digestOf(...parts: unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}
