// What a command prints to, and the error that ends it with a message for a person.

export interface Terminal {
  /** One line, or several. */
  print(text: string): void;
  printError(text: string): void;
}

export interface CommandContext {
  readonly terminal: Terminal;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted by SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
}

/** Takes the arguments after its name; answers with the exit code. */
export type Command = (argv: readonly string[], context: CommandContext) => Promise<number>;

export class CommandError extends Error {
  readonly code = 'COMMAND';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandError';
  }
}
