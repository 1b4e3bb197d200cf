// A connection to the admin socket for one command, and how such a command ends: its refusal after the word `Error`, as SPIRE prints it.
import { outputFlag } from '../../cli/output-flag.ts';
import { connect } from '../../rpc/client.ts';
import type { RpcChannel } from '../../rpc/client.ts';
import { RpcError, rpcErrorText } from '../../rpc/status.ts';
import { defaultAdminSocketPath } from '../config/default-socket.ts';
import type { Terminal } from './terminal.ts';

export const adminFlags = {
  ...outputFlag,
  socketPath: {
    kind: 'string',
    default: defaultAdminSocketPath,
    help: 'Path to the SPIRE Agent admin API socket',
  },
} as const;

export async function withAdminClient(
  socketPath: string,
  terminal: Terminal,
  act: (channel: RpcChannel) => Promise<void>,
): Promise<number> {
  const channel = connect({ unixPath: socketPath === '' ? defaultAdminSocketPath : socketPath });
  try {
    await act(channel);
    return 0;
  } catch (error) {
    terminal.printError(`Error: ${reasonOf(error)}`);
    return 1;
  } finally {
    channel.close();
  }
}

/** What the command was about, then the refusal in its own words. */
function reasonOf(error: unknown): string {
  if (error instanceof RpcError) return rpcErrorText(error);
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`;
}
