// A Compute Engine instance's way from PROVISIONING to gone, each step under an operation that callers can wait on.
import { metadataPorts } from '../addresses.ts';
import type { LabContext } from '../context.ts';
import { metadataAddress } from '../instance/firewall.ts';
import { finishOperation } from './compute-operations.ts';
import { createGcpMetadata } from './metadata.ts';
import type { GceInstance, GceStatus, Operation } from './state.ts';

export function launch(context: LabContext, instance: GceInstance, operation?: Operation): void {
  setStatus(context, instance, 'STAGING');
  inBackground(context, instance, operation, async () => {
    await context.fleet.powerOn({
      machine: instance.machine,
      metadataPort: metadataPorts.gcp,
      metadata: createGcpMetadata(context, instance),
      environment: {
        // No name leads there: the lab has no DNS.
        GCE_METADATA_HOST:
          context.isolation === 'none' ? `${instance.machine.address}:${metadataPorts.gcp}` : metadataAddress,
        AWS_ENDPOINT_URL: context.endpoint,
        // There is no metadata service of AWS's here, and nobody should go looking for one.
        AWS_EC2_METADATA_DISABLED: 'true',
        ESPALIER_GCP_SECRETMANAGER_ENDPOINT: context.endpoint,
      },
    });
    if (instance.status === 'STAGING') setStatus(context, instance, 'RUNNING');
  });
}

export function halt(context: LabContext, instance: GceInstance, operation?: Operation): void {
  setStatus(context, instance, 'STOPPING');
  inBackground(context, instance, operation, async () => {
    await context.fleet.powerOff(instance.machine);
    if (instance.status === 'STOPPING') setStatus(context, instance, 'TERMINATED');
  });
}

/** Off and on again, with the same address and disk. */
export function reset(context: LabContext, instance: GceInstance, operation: Operation): void {
  inBackground(context, instance, undefined, async () => {
    await context.fleet.powerOff(instance.machine);
    if (instance.status === 'RUNNING') launch(context, instance, operation);
    else finishOperation(context, operation);
  });
}

export function remove(context: LabContext, instance: GceInstance, operation?: Operation): void {
  instance.removing = true;
  setStatus(context, instance, 'STOPPING');
  inBackground(context, instance, operation, async () => {
    await context.fleet.destroy(instance.machine);
    context.fleet.forget(instance.machine);
    const { gcp } = context.state;
    gcp.instances = gcp.instances.filter((other) => other !== instance);
    context.save();
  });
}

/** Takes every instance up where the last lab left it, and ends the operations that nobody works on any more. */
export function resumeInstances(context: LabContext): void {
  const { gcp } = context.state;
  for (const instance of gcp.instances) {
    const operation = gcp.operations.find(({ targetId, endedAt }) => targetId === instance.id && endedAt === undefined);
    if (instance.removing) remove(context, instance, operation);
    else if (instance.status === 'STOPPING') halt(context, instance, operation);
    else if (instance.status !== 'TERMINATED') launch(context, instance, operation);
  }
  const alive = new Set(gcp.instances.map(({ id }) => id));
  for (const operation of gcp.operations) {
    if (operation.endedAt === undefined && !alive.has(operation.targetId)) finishOperation(context, operation);
  }
}

function setStatus(context: LabContext, instance: GceInstance, status: GceStatus): void {
  instance.status = status;
  context.save();
}

function inBackground(
  context: LabContext,
  instance: GceInstance,
  operation: Operation | undefined,
  act: () => Promise<void>,
): void {
  act().then(
    () => {
      if (operation !== undefined) finishOperation(context, operation);
    },
    (cause: unknown) => {
      const message = cause instanceof Error ? cause.message : String(cause);
      context.log(`${instance.name} (${instance.status}): ${message}`);
      if (operation !== undefined) finishOperation(context, operation, message);
    },
  );
}
