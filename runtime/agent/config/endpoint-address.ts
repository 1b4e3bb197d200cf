// An address of a Workload API as SPIFFE writes it (Workload Endpoint §4). Unix sockets only: over plain TCP anybody on the way could answer.

/** The path of the socket. Throws where the text names none. */
export function parseEndpointAddress(text: string): string {
  const path = /^unix:(?:\/\/)?(\/[^?#]*)$/.exec(text)?.[1];
  if (path === undefined || path.startsWith('//')) throw new Error('want unix:///path/to/socket');
  return path;
}
