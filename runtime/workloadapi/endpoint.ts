// Where the Workload API is: SPIFFE_ENDPOINT_SOCKET as SPIFFE_Workload_Endpoint §4 has it. Only Unix sockets: over TCP nobody can tell who calls.
import { WorkloadError } from './errors.ts';

export const endpointVariable = 'SPIFFE_ENDPOINT_SOCKET';

/** The path of the Unix socket that `unix:///path` names. */
export function parseEndpointSocket(text: string): string {
  const path = /^unix:(?:\/\/)?(\/[^?#]*)$/.exec(text)?.[1];
  if (path === undefined || path.startsWith('//')) {
    throw new WorkloadError('ENDPOINT', `${endpointVariable} is ${JSON.stringify(text)}, want unix:///path/to/socket`);
  }
  return path;
}
