// Compute Engine's operations: what a change returns at once, and what callers wait on until it is done.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LabContext } from '../context.ts';
import { GcpError } from './errors.ts';
import type { GcpCall, Route } from './front-door.ts';
import { authorize } from './principals.ts';
import { numericId, project } from './state.ts';
import type { Operation } from './state.ts';

const longestWait = 120_000;
const remembered = 3600_000;

export const operationRoutes: readonly Route[] = [
  {
    route: 'GET /compute/v1/projects/{project}/zones/{zone}/operations/{operation}',
    answer: (call) => encodeOperation(call.context, find(call, call.part('zone'))),
  },
  {
    route: 'POST /compute/v1/projects/{project}/zones/{zone}/operations/{operation}/wait',
    answer: (call) => waitFor(call.context, find(call, call.part('zone'))),
  },
  {
    route: 'GET /compute/v1/projects/{project}/global/operations/{operation}',
    answer: (call) => encodeOperation(call.context, find(call, undefined)),
  },
  {
    route: 'POST /compute/v1/projects/{project}/global/operations/{operation}/wait',
    answer: (call) => waitFor(call.context, find(call, undefined)),
  },
];

export interface NewOperation {
  readonly zone: string | undefined;
  readonly type: string;
  /** Path of the thing below the project, such as `zones/us-central1-a/instances/web`. */
  readonly target: string;
  readonly targetId: string;
  readonly requestId: string | undefined;
  readonly requestDigest: string;
}

/** Writes an operation down; `finish` ends it. */
export function beginOperation(context: LabContext, { target, ...rest }: NewOperation): Operation {
  const { gcp } = context.state;
  const now = context.clock();
  gcp.operations = gcp.operations.filter(({ endedAt }) => endedAt === undefined || now - endedAt < remembered);
  const operation: Operation = {
    ...rest,
    id: numericId(),
    name: `operation-${now}-${randomBytes(6).toString('hex')}`,
    targetLink: linkOf(context, target),
    insertedAt: now,
    endedAt: undefined,
    error: undefined,
  };
  gcp.operations.push(operation);
  context.save();
  return operation;
}

export function finishOperation(context: LabContext, operation: Operation, error?: string): void {
  operation.endedAt = context.clock();
  operation.error = error;
  context.save();
}

/** The operation that an earlier request of this id began; a different request under the same id is refused. */
export function findEarlier(
  context: LabContext,
  requestId: string | undefined,
  requestDigest: string,
): Operation | undefined {
  if (requestId === undefined) return undefined;
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(requestId) || /^[0-]+$/.test(requestId)) {
    throw new GcpError(
      'INVALID_ARGUMENT',
      `Invalid value for field 'requestId': '${requestId}'. Must be a valid UUID.`,
    );
  }
  const earlier = context.state.gcp.operations.find((operation) => operation.requestId === requestId);
  if (earlier !== undefined && earlier.requestDigest !== requestDigest) {
    throw new GcpError('INVALID_ARGUMENT', `request id ${requestId} was used with another request`);
  }
  return earlier;
}

export function linkOf(context: LabContext, path: string): string {
  return `${context.endpoint}/compute/v1/projects/${project}/${path}`;
}

export function encodeOperation(context: LabContext, operation: Operation): object {
  const scope = operation.zone === undefined ? 'global' : `zones/${operation.zone}`;
  const time = (at: number) => new Date(at).toISOString();
  return {
    kind: 'compute#operation',
    id: operation.id,
    name: operation.name,
    ...(operation.zone === undefined ? {} : { zone: linkOf(context, scope) }),
    operationType: operation.type,
    targetLink: operation.targetLink,
    targetId: operation.targetId,
    status: operation.endedAt === undefined ? 'RUNNING' : 'DONE',
    progress: operation.endedAt === undefined ? 0 : 100,
    insertTime: time(operation.insertedAt),
    startTime: time(operation.insertedAt),
    ...(operation.endedAt === undefined ? {} : { endTime: time(operation.endedAt) }),
    ...(operation.error === undefined
      ? {}
      : {
          error: { errors: [{ code: 'INTERNAL_ERROR', message: operation.error }] },
          httpErrorStatusCode: 503,
          httpErrorMessage: 'SERVICE UNAVAILABLE',
        }),
    selfLink: linkOf(context, `${scope}/operations/${operation.name}`),
  };
}

async function waitFor(context: LabContext, operation: Operation): Promise<object> {
  const deadline = Date.now() + longestWait;
  while (operation.endedAt === undefined && Date.now() < deadline) await sleep(20, undefined, { ref: false });
  return encodeOperation(context, operation);
}

function find({ context, principal, part }: GcpCall, zone: string | undefined): Operation {
  authorize(
    context,
    principal,
    zone === undefined ? 'compute.globalOperations.get' : 'compute.zoneOperations.get',
    project,
  );
  const name = part('operation');
  const operation = context.state.gcp.operations.find(
    (one) => (one.name === name || one.id === name) && one.zone === zone,
  );
  if (operation === undefined)
    throw new GcpError('NOT_FOUND', `The resource 'projects/${project}/operations/${name}' was not found`);
  return operation;
}
