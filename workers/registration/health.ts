// What a kubelet asks: `/live` while the process answers, `/ready` while rounds end well with every cluster known, or while another replica acts.
import { isIPv6 } from 'node:net';
import type { Round } from '../../activities/registration/reconcile/reconciler.ts';
import { openProbeServer } from '../probe-server.ts';
import type { ProbeAnswer } from '../probe-server.ts';

export interface Health {
  readonly url: string;
  seen(round: Round): void;
  /** A round was not finished. */
  failed(reason: string): void;
  /** Another replica acts. */
  waiting(): void;
  close(): Promise<void>;
}

/** `host:port`. */
export async function openHealth(address: string): Promise<Health> {
  const colon = address.lastIndexOf(':');
  const [host, port] = [address.slice(0, colon).replace(/^\[|\]$/g, ''), Number(address.slice(colon + 1))];
  let state: ProbeAnswer = { isGood: false, text: 'no round has ended yet' };
  const server = await openProbeServer(
    { host, port },
    {
      live: () => ({ isGood: true, text: 'alive' }),
      ready: () => state,
    },
  );
  const taken = server.address;
  return {
    url: `http://${isIPv6(taken.address) ? `[${taken.address}]` : taken.address}:${taken.port}`,
    seen({ waitingFor }) {
      state =
        waitingFor.length === 0
          ? { isGood: true, text: 'ready' }
          : { isGood: false, text: `not all objects are known of ${waitingFor.join(', ')}` };
    },
    failed: (reason) => void (state = { isGood: false, text: `the last round failed: ${reason}` }),
    waiting: () => void (state = { isGood: true, text: 'another replica acts' }),
    close: () => server.close(),
  };
}
