// `/live` and `/ready` for a kubelet. Live: the process turns. Ready: the API server has answered a moment ago, whether this replica leads or waits.
import { isIPv6 } from 'node:net';
import { openProbeServer } from '../probe-server.ts';

export interface Health {
  /** That was taken. */
  readonly port: number;
  /** The API server has answered. */
  readonly beat: () => void;
  close(): Promise<void>;
}

const readyMs = 60_000;

/** `listen` is a port, or an address and a port: `127.0.0.1:8080`, `[::1]:8080`, `:8080`. */
export async function openHealth(listen: string, clock: () => number): Promise<Health> {
  let last: number | undefined;
  const isReady = (): boolean => last !== undefined && clock() - last < readyMs;
  const server = await openProbeServer(parseListen(listen), {
    live: () => ({ isGood: true, text: 'ok' }),
    ready: () => (isReady() ? { isGood: true, text: 'ok' } : { isGood: false, text: 'no' }),
  });
  return { port: server.address.port, beat: () => void (last = clock()), close: () => server.close() };
}

function parseListen(listen: string): { host: string | undefined; port: number } {
  const { host = '', port = '' } = /^(?:(?<host>[^:]*|\[[^\]]*\]):)?(?<port>\d{1,5})$/.exec(listen)?.groups ?? {};
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  if (port === '' || Number(port) > 65_535 || (host.startsWith('[') && !isIPv6(bare)))
    throw new Error(`no address to listen at: ${JSON.stringify(listen)}`);
  return { host: bare === '' ? undefined : bare, port: Number(port) };
}
