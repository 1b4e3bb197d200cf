// What all commands share that talk to a running server: its socket, `-output`, and how refusals are told. Each command adds its flags and its act.
import type { FlagSpecs, FlagValues } from '../../cli/flags.ts';
import { FlagError, formatUsage, parseFlags } from '../../cli/flags.ts';
import { outputFlag } from '../../cli/output-flag.ts';
import type { RpcChannel } from '../../rpc/client.ts';
import { connect } from '../../rpc/client.ts';
import { RpcError, rpcErrorText } from '../../rpc/status.ts';
import { formatProtoJson, formatStructJson } from './proto-json.ts';
import type { Command, Terminal } from './terminal.ts';

export const defaultSocketPath = '/tmp/spire-server/private/api.sock';

const commonFlags = {
  socketPath: { kind: 'string', default: defaultSocketPath, help: 'Path to the SPIRE Server API socket' },
  instance: {
    kind: 'string',
    default: '',
    help: 'Instance name to substitute into socket templates (env SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE).',
  },
} as const satisfies FlagSpecs;

/** A command failed for a reason that its user can read; nothing more is to be said about it. */
export class CommandError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandError';
  }
}

export interface Invocation<S extends FlagSpecs> {
  readonly flags: FlagValues<S>;
  readonly channel: RpcChannel;
  readonly terminal: Terminal;
  /** Prints a message as JSON, or by the function given, whichever `-output` asks for. */
  readonly print: (message: object, pretty: () => void) => void;
  /** The same for what is no message: its fields keep their order. */
  readonly printStruct: (value: object, pretty: () => void) => void;
}

export interface ServerCommandSpec<S extends FlagSpecs> {
  readonly name: string;
  /** In the usage text, where it is not the name. */
  readonly usageName?: string;
  readonly synopsis: string;
  readonly flags: S;
  /** False for the few commands whose answer has one form only. */
  readonly hasOutput?: false;
  run(invocation: Invocation<S>): Promise<void>;
}

export function serverCommand<const S extends FlagSpecs>(spec: ServerCommandSpec<S>): Command {
  const flagSpecs: FlagSpecs = { ...commonFlags, ...(spec.hasOutput === false ? {} : outputFlag), ...spec.flags };

  const usage = () => formatUsage(spec.usageName ?? spec.name, flagSpecs);

  return {
    name: spec.name,
    synopsis: spec.synopsis,
    usage,
    async run(argv, terminal) {
      const parsed = readFlags(argv, flagSpecs, usage, terminal);
      if (parsed === undefined) return 1;
      let channel: RpcChannel | undefined;
      try {
        const json = parsed.values['output'] === 'json';
        channel = connect({ unixPath: socketPath(parsed.values, terminal) });
        const printAs = (format: (message: object) => string) => (message: object, pretty: () => void) =>
          json ? terminal.out(format(message)) : pretty();
        await spec.run({
          flags: parsed.values as FlagValues<S>,
          channel,
          terminal,
          print: printAs(formatProtoJson),
          printStruct: printAs(formatStructJson),
        });
        return 0;
      } catch (error) {
        terminal.err(`Error: ${errorLine(error)}\n`);
        return 1;
      } finally {
        channel?.close();
      }
    },
  };
}

function readFlags(argv: readonly string[], specs: FlagSpecs, usage: () => string, terminal: Terminal) {
  try {
    return parseFlags(argv, specs);
  } catch (error) {
    if (!(error instanceof FlagError)) throw error;
    if (error.code !== 'HELP') terminal.err(`${error.message}\n`);
    terminal.err(usage());
    return undefined;
  }
}

function socketPath(values: FlagValues<FlagSpecs>, { env }: Terminal): string {
  const path = String(values['socketPath']);
  const instance = String(values['instance']);
  const template = env['SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE'] ?? '';
  const socket = env['SPIRE_SERVER_PRIVATE_SOCKET'] ?? '';
  if (instance !== '' && template === '') {
    throw new CommandError('you must define SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE to use the instance flag');
  }
  if (instance !== '' && !template.includes('%i')) {
    throw new CommandError('failed to find %i in SPIRE_SERVER_PRIVATE_SOCKET_TEMPLATE');
  }
  if (path !== defaultSocketPath) return path;
  if (instance !== '') return template.replaceAll('%i', instance);
  return socket === '' ? path : socket;
}

/** Wraps a refusal in what the command was about; the words of the refusal stay. */
export function errorLine(error: unknown): string {
  if (error instanceof RpcError) return rpcErrorText(error);
  if (error instanceof CommandError && error.cause !== undefined) return `${error.message}: ${errorLine(error.cause)}`;
  return error instanceof Error ? error.message : String(error);
}

/** `1 entry`, `2 entries`. */
export function plural(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}
