// An EC2 instance's way from pending to terminated. The state is written before and after each step, so that the next lab goes on from it.
import { metadataPorts } from '../addresses.ts';
import type { LabContext } from '../context.ts';
import { createAwsMetadata } from './metadata.ts';
import type { Ec2Instance, Ec2State } from './state.ts';

/** How long a terminated instance can still be described, and its console be read. */
const remembered = 3600_000;

export function launch(context: LabContext, instance: Ec2Instance): void {
  setState(context, instance, 'pending');
  inBackground(context, instance, async () => {
    await context.fleet.powerOn({
      machine: instance.machine,
      metadataPort: metadataPorts.aws,
      metadata: createAwsMetadata(context, instance),
      environment: {
        // In a network of its own the service is where every program looks first.
        ...(context.isolation === 'none'
          ? { AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://${instance.machine.address}:${metadataPorts.aws}` }
          : {}),
        AWS_ENDPOINT_URL: context.endpoint,
        ESPALIER_GCP_SECRETMANAGER_ENDPOINT: context.endpoint,
        // There is no metadata server of Google's here, and nobody should go looking for one.
        METADATA_SERVER_DETECTION: 'none',
      },
    });
    if (instance.state === 'pending') setState(context, instance, 'running');
  });
}

export function halt(context: LabContext, instance: Ec2Instance): void {
  setState(context, instance, 'stopping');
  inBackground(context, instance, async () => {
    await context.fleet.powerOff(instance.machine);
    if (instance.state === 'stopping') setState(context, instance, 'stopped');
  });
}

export function terminate(context: LabContext, instance: Ec2Instance): void {
  if (instance.state === 'terminated') return;
  setState(context, instance, 'shutting-down');
  inBackground(context, instance, async () => {
    await context.fleet.destroy(instance.machine);
    instance.terminatedAt = context.clock();
    setState(context, instance, 'terminated');
  });
}

/** Off and on again, with the same address and disk. */
export function reboot(context: LabContext, instance: Ec2Instance): void {
  inBackground(context, instance, async () => {
    await context.fleet.powerOff(instance.machine);
    if (instance.state === 'running') launch(context, instance);
  });
}

/** Takes every instance up where the last lab left it. */
export function resumeInstances(context: LabContext): void {
  forgetOld(context);
  const resume: Partial<Record<Ec2State, typeof launch>> = {
    pending: launch,
    running: launch,
    stopping: halt,
    'shutting-down': terminate,
  };
  for (const instance of context.state.aws.instances) resume[instance.state]?.(context, instance);
}

export function forgetOld(context: LabContext): void {
  const { aws } = context.state;
  const old = aws.instances.filter(
    ({ terminatedAt }) => terminatedAt !== undefined && context.clock() - terminatedAt > remembered,
  );
  if (old.length === 0) return;
  for (const { machine } of old) context.fleet.forget(machine);
  aws.instances = aws.instances.filter((instance) => !old.includes(instance));
  context.save();
}

function setState(context: LabContext, instance: Ec2Instance, state: Ec2State): void {
  instance.state = state;
  context.save();
}

function inBackground(context: LabContext, instance: Ec2Instance, act: () => Promise<void>): void {
  act().catch((cause: unknown) =>
    context.log(`${instance.id} (${instance.state}): ${cause instanceof Error ? cause.message : String(cause)}`),
  );
}
