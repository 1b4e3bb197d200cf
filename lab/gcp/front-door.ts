import type { LabContext } from '../context.ts';
import type { LabRequest, LabResponse } from '../http.ts';
import { GcpError } from './errors.ts';
export function answerGcp(_context: LabContext, request: LabRequest): LabResponse {
  return new GcpError('NOT_FOUND', `the lab has nothing at ${request.path}`).toResponse();
}
