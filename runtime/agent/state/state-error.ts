// What is wrong with the agent's own files: a person has to look at them. Each message names the file and the way out.

export type StateErrorCode =
  'AGENT_DATA' | 'KEYS' | 'BUNDLE_MISSING' | 'FOREIGN_SVID' | 'FOREIGN_OWNER' | 'WRITABLE_BY_OTHERS' | 'DATA_DIRECTORY';

export class StateError extends Error {
  readonly code: StateErrorCode;

  constructor(code: StateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StateError';
    this.code = code;
  }
}

/** What helps where a file cannot be used: its content is kept, and the node proves anew who it is. */
export function attestAnewWithout(path: string): string {
  return (
    `move ${path} away and start the agent again, which then attests anew; where the node's evidence is taken once, evict its agent at the server ` +
    'first ("spire-server agent evict"), or give it a new join token'
  );
}
