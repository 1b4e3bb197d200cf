// The control listener: one address for every API of both clouds, told apart by how requests speak.
import { answerAws, isAws } from './aws/front-door.ts';
import type { LabContext } from './context.ts';
import { answerGcp } from './gcp/front-door.ts';
import type { LabRequest, LabResponse } from './http.ts';
import { text } from './http.ts';

export async function answerControl(context: LabContext, request: LabRequest): Promise<LabResponse> {
  if (request.path === '/health') return text(200, 'the Espalier lab: a small AWS and a small GCP, on this machine only\n');
  return isAws(request) ? answerAws(context, request) : answerGcp(context, request);
}
