// Programs that are killed, or stopped, and stay down until they are let go: one unit of one instance. The instance itself knows nothing of it, so whatever
// would start the program again finds that it does not stay up.
import { dirname } from 'node:path';
import type { LabContext } from '../context.ts';
import { GcpError } from '../gcp/errors.ts';
import type { Body } from '../gcp/fields.ts';
import { holdDown, letGo, listHeld } from '../instance/held-programs.ts';
import type { FaultKind } from './faults.ts';
import { findInstance, listInstances } from './instances.ts';

/** `running` lets it go. */
const states = ['running', 'killed', 'stopped'] as const;
type ProgramState = (typeof states)[number];

const unitName = /^[A-Za-z0-9_-]+$/;
/** As long as a unit may take to end, and more. */
const patienceMs = 15_000;

/** `{"instance": "gcp-server-0", "unit": "spire-server", "state": "killed"}`; safe to repeat. */
export const programFaults: FaultKind = {
  async change(context, body) {
    const { machine } = findInstance(context, textOf(body, 'instance'));
    const unit = textOf(body, 'unit');
    if (!unitName.test(unit))
      throw new GcpError('INVALID_ARGUMENT', `unit: no name of a unit: ${JSON.stringify(unit)}`);
    const state = states.find((one) => one === body['state']);
    if (state === undefined) throw new GcpError('INVALID_ARGUMENT', `state: must be one of ${states.join(', ')}`);
    const directory = directoryOf(context, machine);
    context.log(`fault: ${unit} of ${textOf(body, 'instance')} ${state}`);
    // Held before it ends, or it would be started again in between.
    if (state === 'running') letGo(directory, unit);
    else holdDown(directory, { unit, state });
    const ended = await context.fleet.run(machine, `systemctl ${verbs[state]} ${unit}`, patienceMs);
    // A machine that is off has no programs; what is held stays down at its next boot.
    if (ended === undefined || ended.code === 0) return;
    if (state !== 'running') letGo(directory, unit);
    throw new GcpError(
      'ABORTED',
      `${unit} of ${textOf(body, 'instance')}: ${ended.stderr.trim() || ended.stdout.trim()}`,
    );
  },
  list: (context) =>
    listInstances(context).flatMap(({ id, name, machine }) =>
      listHeld(directoryOf(context, machine)).map((held) => ({ instance: name ?? id, ...held })),
    ),
};

const verbs: Readonly<Record<ProgramState, string>> = {
  running: 'start',
  killed: 'kill --signal=SIGKILL',
  stopped: 'stop',
};

function directoryOf({ fleet }: LabContext, machine: Parameters<LabContext['fleet']['describe']>[0]): string {
  return dirname(fleet.describe(machine).root);
}

function textOf(body: Body, field: string): string {
  const value = body[field];
  if (typeof value === 'string' && value !== '') return value;
  throw new GcpError('INVALID_ARGUMENT', `${field}: must be said`);
}
