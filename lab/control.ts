// The control listener: one address for every API of both clouds, told apart by how requests speak, and what the lab does for the people in front
// of the computer: it says where its machines are, and makes faults. No cloud offers that, so nothing that must work on one may ask.
import { answerAws, isAws } from './aws/front-door.ts';
import type { LabContext } from './context.ts';
import { answerFaults } from './faults/faults.ts';
import { listInstances } from './faults/instances.ts';
import { GcpError } from './gcp/errors.ts';
import { answerGcp } from './gcp/front-door.ts';
import { authenticate } from './gcp/principals.ts';
import type { LabRequest, LabResponse } from './http.ts';
import { json } from './http.ts';

export async function answerControl(context: LabContext, request: LabRequest): Promise<LabResponse> {
  if (request.path === '/lab/machines') return forOwner(context, request, () => listMachines(context));
  if (request.path === '/faults' || request.path.startsWith('/faults/'))
    return forOwner(context, request, () => answerFaults(context, request));
  return isAws(request) ? answerAws(context, request) : answerGcp(context, request);
}

async function forOwner(
  context: LabContext,
  request: LabRequest,
  act: () => LabResponse | Promise<LabResponse>,
): Promise<LabResponse> {
  try {
    if (authenticate(context, request).kind !== 'owner')
      throw new GcpError('PERMISSION_DENIED', "only the lab's owner may ask for this");
    return await act();
  } catch (cause) {
    if (cause instanceof GcpError) return cause.toResponse();
    throw cause;
  }
}

function listMachines(context: LabContext): LabResponse {
  return json(
    200,
    listInstances(context).map(({ cloud, id, name, machine }) => ({
      cloud,
      id,
      name,
      address: machine.address,
      ...context.fleet.describe(machine),
    })),
  );
}
