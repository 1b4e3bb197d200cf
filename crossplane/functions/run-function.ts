// One run: a composite resource and what is seen of its parts in, the parts that are wanted out. Pure: the same request gives the same answer.
import { z } from 'zod';
import { Ready, Severity, Target } from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import type {
  Resource,
  RunFunctionRequest,
  RunFunctionResponse,
} from '../../proto/gen/apiextensions/fn/proto/v1/run_function.ts';
import { known } from './composed.ts';
import type { Built, Json } from './composed.ts';
import { readComposite } from './composite.ts';
import type { Composite } from './composite.ts';
import { kinds } from './kinds/kinds.ts';
import { isReady } from './readiness.ts';

/** For how long Crossplane may use an answer again. */
const answerSeconds = 60;

export function runFunction(request: RunFunctionRequest): RunFunctionResponse {
  const observed = (name: string): Json | undefined => request.observed?.resources[name]?.resource;
  let composite: Composite;
  let built: Built;
  try {
    composite = readComposite(request.observed?.composite?.resource, observed);
    const kind = kinds[composite.kind];
    if (kind === undefined) return refuse(request, `this function does not build ${composite.kind}`);
    built = kind.build(composite.scope, composite.spec);
  } catch (cause) {
    return refuse(request, cause instanceof z.ZodError ? faultsOf(cause) : (cause as Error).message);
  }
  const resources = built.resources.map(({ name, resource }): [string, Resource] => [
    name,
    {
      resource,
      connectionDetails: {},
      ready: isReady(observed(name), resource) ? Ready.READY_TRUE : Ready.READY_FALSE,
    },
  ]);
  const answer = begin(request);
  return {
    ...answer,
    desired: {
      composite: {
        resource: {
          apiVersion: composite.apiVersion,
          kind: request.observed?.composite?.resource?.['kind'] as string,
          status: known(built.status),
        },
        connectionDetails: {},
        ready: built.waitingFor.length === 0 ? Ready.READY_UNSPECIFIED : Ready.READY_FALSE,
      },
      resources: { ...request.desired?.resources, ...Object.fromEntries(resources) },
    },
    results: built.waitingFor.map((what) => ({
      severity: Severity.SEVERITY_NORMAL,
      message: `waiting for ${what}`,
      reason: 'Waiting',
      target: Target.TARGET_COMPOSITE_AND_CLAIM,
    })),
  };
}

function begin({ meta, desired, context }: RunFunctionRequest): RunFunctionResponse {
  return {
    meta: { tag: meta?.tag ?? '', ttl: { seconds: answerSeconds, nanos: 0 } },
    desired,
    results: [],
    context,
    requirements: undefined,
    conditions: [],
  };
}

/** Fatal: Crossplane applies nothing of this run, and what stands goes on standing. */
function refuse(request: RunFunctionRequest, message: string): RunFunctionResponse {
  return {
    ...begin(request),
    results: [
      {
        severity: Severity.SEVERITY_FATAL,
        message,
        reason: 'InvalidSpec',
        target: Target.TARGET_COMPOSITE_AND_CLAIM,
      },
    ],
  };
}

function faultsOf(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `spec.${path.join('.')}: ${message}`).join('; ');
}
