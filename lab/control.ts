// The control listener: one address for every API of both clouds, told apart by how requests speak, and the lab's own answer to where its
// machines are, for the people in front of the computer: no cloud offers that, so nothing that must work on one may ask.
import { answerAws, isAws } from './aws/front-door.ts';
import type { LabContext } from './context.ts';
import { GcpError } from './gcp/errors.ts';
import { answerGcp } from './gcp/front-door.ts';
import { authenticate } from './gcp/principals.ts';
import type { LabRequest, LabResponse } from './http.ts';
import { json } from './http.ts';

export async function answerControl(context: LabContext, request: LabRequest): Promise<LabResponse> {
  if (request.path === '/lab/machines') return listMachines(context, request);
  return isAws(request) ? answerAws(context, request) : answerGcp(context, request);
}

function listMachines(context: LabContext, request: LabRequest): LabResponse {
  try {
    if (authenticate(context, request).kind !== 'owner')
      throw new GcpError('PERMISSION_DENIED', "only the lab's owner may list its machines");
  } catch (cause) {
    if (cause instanceof GcpError) return cause.toResponse();
    throw cause;
  }
  const { aws, gcp } = context.state;
  const machines = [
    ...aws.instances
      .filter(({ state }) => state !== 'terminated')
      .map(({ id, machine }) => ({ cloud: 'aws', id, machine })),
    ...gcp.instances.map(({ id, machine }) => ({ cloud: 'gcp', id, machine })),
  ];
  return json(200, machines.map(({ cloud, id, machine }) => ({ cloud, id, address: machine.address, ...context.fleet.describe(machine) }))); // prettier-ignore
}
