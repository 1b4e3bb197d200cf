// All that is wrong with a configuration, reported at once, so that its author mends it in one go.

export interface ConfigFault {
  /** Where in the configuration, such as `server.bind_port`. */
  readonly place: string;
  readonly message: string;
}

export class ConfigError extends Error {
  readonly code = 'INVALID_CONFIG';
  readonly faults: readonly ConfigFault[];

  constructor(faults: readonly ConfigFault[]) {
    super(faults.map(({ place, message }) => `${place}: ${message}`).join('\n'));
    this.name = 'ConfigError';
    this.faults = faults;
  }
}
