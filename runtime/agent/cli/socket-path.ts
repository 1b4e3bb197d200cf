// Which agent a command talks to: the socket of a flag, of an instance, of the environment, or SPIRE's default, in this order.
import { defaultSocketPath } from '../config/default-socket.ts';
import { parseEndpointAddress } from '../config/endpoint-address.ts';
import { CommandError } from './terminal.ts';

const templateVariable = 'SPIRE_AGENT_PUBLIC_SOCKET_TEMPLATE';
const socketVariable = 'SPIRE_AGENT_PUBLIC_SOCKET';
/** SPIFFE's own, which workloads go by; SPIRE's commands do not know it, so it comes last. */
const endpointVariable = 'SPIFFE_ENDPOINT_SOCKET';

export const socketFlags = {
  socketPath: { kind: 'string', default: defaultSocketPath, help: 'Path to the SPIRE Agent API Unix domain socket' },
  instance: {
    kind: 'string',
    default: '',
    help: `Instance name to substitute into socket templates (env ${templateVariable}).`,
  },
} as const;

export interface SocketChoice {
  readonly socketPath: string;
  readonly instance: string;
}

export function resolveSocketPath({ socketPath, instance }: SocketChoice, env: NodeJS.ProcessEnv): string {
  const template = env[templateVariable] ?? '';
  if (instance !== '' && template === '')
    throw new CommandError(` ${templateVariable} environment variable must be defined when using the instance flag`);
  if (instance !== '' && !template.includes('%i')) throw new CommandError(`failed to find %i in ${templateVariable}`);
  if (socketPath !== defaultSocketPath) return socketPath;
  if (instance !== '') return template.replaceAll('%i', instance);
  const socket = env[socketVariable] ?? '';
  return socket === '' ? (endpointPath(env[endpointVariable] ?? '') ?? defaultSocketPath) : socket;
}

/** A TCP address is refused: over TCP an agent cannot tell who calls. */
function endpointPath(address: string): string | undefined {
  if (address === '') return undefined;
  try {
    return parseEndpointAddress(address);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandError(`${endpointVariable} is ${JSON.stringify(address)}, ${reason}`, { cause });
  }
}
