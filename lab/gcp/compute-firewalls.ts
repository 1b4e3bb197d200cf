// Firewall rules and the default network: kept and answered for. What the rules mean for a network is in instance-rules.ts.
import { createHash } from 'node:crypto';
import { beginOperation, encodeOperation, findEarlier, finishOperation, linkOf } from './compute-operations.ts';
import { GcpError } from './errors.ts';
import { paginate, text } from './fields.ts';
import { checkFirewall } from './instance-rules.ts';
import type { GcpCall, Route } from './front-door.ts';
import { authorize } from './principals.ts';
import { numericId, project } from './state.ts';
import type { Firewall } from './state.ts';

const collection = '/compute/v1/projects/{project}/global/firewalls';
const networks = '/compute/v1/projects/{project}/global/networks';

export const firewallRoutes: readonly Route[] = [
  {
    route: `POST ${collection}`,
    answer(call) {
      const { context, principal, body, query } = call;
      authorize(context, principal, 'compute.firewalls.create', project);
      const name = text(body, 'name');
      if (!/^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name))
        throw new GcpError('INVALID_ARGUMENT', `Invalid value for field 'resource.name': '${name}'`);
      checkFirewall(body);
      const requestId = query.get('requestId') ?? undefined;
      const requestDigest = createHash('sha256')
        .update(JSON.stringify(['firewalls.insert', body]))
        .digest('hex');
      const earlier = findEarlier(context, requestId, requestDigest);
      if (earlier !== undefined) return encodeOperation(context, earlier);
      const { firewalls } = context.state.gcp;
      if (firewalls.some((firewall) => firewall.name === name))
        throw new GcpError(
          'ALREADY_EXISTS',
          `The resource 'projects/${project}/global/firewalls/${name}' already exists`,
        );
      const firewall: Firewall = { id: numericId(), name, createdAt: context.clock(), body: { ...body } };
      firewalls.push(firewall);
      return done(call, 'insert', firewall, requestId, requestDigest);
    },
  },
  {
    route: `GET ${collection}`,
    answer({ context, principal, query }) {
      authorize(context, principal, 'compute.firewalls.list', project);
      const { page, ...more } = paginate(context.state.gcp.firewalls, query, 'maxResults');
      return {
        kind: 'compute#firewallList',
        id: `projects/${project}/global/firewalls`,
        items: page.map((firewall) => encode({ context }, firewall)),
        ...more,
      };
    },
  },
  { route: `GET ${collection}/{firewall}`, answer: (call) => encode(call, find(call, 'compute.firewalls.get')) },
  {
    route: `PATCH ${collection}/{firewall}`,
    answer(call) {
      const firewall = find(call, 'compute.firewalls.update');
      const body = { ...firewall.body, ...call.body, name: firewall.name };
      checkFirewall(body);
      firewall.body = body;
      return done(call, 'patch', firewall, undefined, '');
    },
  },
  {
    route: `DELETE ${collection}/{firewall}`,
    answer(call) {
      const firewall = find(call, 'compute.firewalls.delete');
      const { gcp } = call.context.state;
      gcp.firewalls = gcp.firewalls.filter((other) => other !== firewall);
      return done(call, 'delete', firewall, undefined, '');
    },
  },
  {
    route: `GET ${networks}/{network}`,
    answer({ context, principal, part }) {
      authorize(context, principal, 'compute.networks.get', project);
      if (part('network') !== 'default')
        throw new GcpError(
          'NOT_FOUND',
          `The resource 'projects/${project}/global/networks/${part('network')}' was not found`,
        );
      return {
        kind: 'compute#network',
        id: '7700000000000000001',
        name: 'default',
        autoCreateSubnetworks: true,
        selfLink: linkOf(context, 'global/networks/default'),
      };
    },
  },
];

/** Changes of firewalls take no time here: their operation is done when it is answered. */
function done(
  { context }: GcpCall,
  type: string,
  firewall: Firewall,
  requestId: string | undefined,
  requestDigest: string,
): object {
  const operation = beginOperation(context, {
    zone: undefined,
    type,
    target: `global/firewalls/${firewall.name}`,
    targetId: firewall.id,
    requestId,
    requestDigest,
  });
  finishOperation(context, operation);
  return encodeOperation(context, operation);
}

function find({ context, principal, part }: GcpCall, permission: string): Firewall {
  authorize(context, principal, permission, project);
  const firewall = context.state.gcp.firewalls.find(({ name }) => name === part('firewall'));
  if (firewall === undefined)
    throw new GcpError(
      'NOT_FOUND',
      `The resource 'projects/${project}/global/firewalls/${part('firewall')}' was not found`,
    );
  return firewall;
}

function encode({ context }: Pick<GcpCall, 'context'>, firewall: Firewall): object {
  return {
    direction: 'INGRESS',
    ...firewall.body,
    kind: 'compute#firewall',
    id: firewall.id,
    creationTimestamp: new Date(firewall.createdAt).toISOString(),
    selfLink: linkOf(context, `global/firewalls/${firewall.name}`),
  };
}
