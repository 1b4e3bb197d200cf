// What is wrong with the agent's own files: a person has to look at them.

export type StateErrorCode = 'AGENT_DATA' | 'KEYS' | 'BUNDLE_MISSING';

export class StateError extends Error {
  readonly code: StateErrorCode;

  constructor(code: StateErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StateError';
    this.code = code;
  }
}
