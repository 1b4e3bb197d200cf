// The compute client of Google Cloud and its operations: loaded when first needed, as it is large, and waited for until they are done.
import type {
  FirewallsClient,
  GlobalOperationsClient,
  InstancesClient,
  ZoneOperationsClient,
} from '@google-cloud/compute';
import type { protos } from '@google-cloud/compute';
import { failure } from '../failures.ts';
import { createAuth } from './gcp-rest.ts';
import type { GcpSettings } from './gcp-rest.ts';

type Operation = protos.google.cloud.compute.v1.IOperation;

interface Compute {
  readonly instances: InstancesClient;
  readonly firewalls: FirewallsClient;
  readonly zoneOperations: ZoneOperationsClient;
  readonly globalOperations: GlobalOperationsClient;
}

export interface GcpCompute {
  readonly project: string;
  readonly connect: () => Promise<Compute>;
  readonly finishZonal: (zone: string, started: Operation) => Promise<void>;
  readonly finishGlobal: (started: Operation) => Promise<void>;
}

export function createGcpCompute(settings: GcpSettings): GcpCompute {
  const { project } = settings;
  let connected: Promise<Compute> | undefined;
  const connect = () => (connected ??= connectCompute(settings));

  async function finishZonal(zone: string, started: Operation): Promise<void> {
    const { zoneOperations } = await connect();
    let operation = started;
    while (operation.status !== 'DONE') {
      [operation] = await zoneOperations.wait({ project, zone, operation: operation.name ?? '' });
    }
    refuseFailed(operation);
  }

  async function finishGlobal(started: Operation): Promise<void> {
    const { globalOperations } = await connect();
    let operation = started;
    while (operation.status !== 'DONE') {
      [operation] = await globalOperations.wait({ project, operation: operation.name ?? '' });
    }
    refuseFailed(operation);
  }

  return { project, connect, finishZonal, finishGlobal };
}

async function connectCompute(settings: GcpSettings): Promise<Compute> {
  const [{ v1 }, authClient] = await Promise.all([import('@google-cloud/compute'), createAuth(settings)]);
  const endpoint = settings.endpoint === undefined ? undefined : new URL(settings.endpoint);
  const options = {
    fallback: true,
    authClient: authClient as never, // the compute client declares the type of its own copy of google-auth-library
    ...(endpoint === undefined
      ? {}
      : { apiEndpoint: endpoint.hostname, port: Number(endpoint.port), protocol: endpoint.protocol.replace(':', '') }),
  };
  return {
    instances: new v1.InstancesClient(options),
    firewalls: new v1.FirewallsClient(options),
    zoneOperations: new v1.ZoneOperationsClient(options),
    globalOperations: new v1.GlobalOperationsClient(options),
  };
}

/** The client wraps the operation in one that polls Google's own address; ours must follow the endpoint. */
export function operationOf(response: { latestResponse: unknown }): Operation {
  return response.latestResponse as Operation;
}

function refuseFailed(operation: Operation): void {
  const errors = operation.error?.errors ?? [];
  if (errors.length === 0) return;
  const [first] = errors;
  const type = first?.code?.includes('QUOTA') === true ? 'QuotaExceeded' : 'Unavailable';
  throw failure(
    type,
    `gcp ${operation.operationType ?? 'operation'}: ${errors.map(({ code, message }) => `${code ?? ''}: ${message ?? ''}`).join('; ')}`,
  );
}
