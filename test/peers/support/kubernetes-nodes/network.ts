// The network under a cluster's nodes: one bridge in a network namespace, and on it each node and each pod in a namespace of its own. There the addresses of
// Services are answered by a relay, which stands in for kube-proxy: whoever is called sees the relay as the caller. No NetworkPolicy is enforced.
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, runProgram } from '../../../../lab/instance/network-programs.ts';
import type { Route } from './relay.ts';

export interface Network {
  /** Where Services are answered, and what is outside the cluster. */
  readonly gateway: string;
  /** A namespace with that address on the bridge; words before a command enter it. */
  attach(name: string, address: string): readonly string[];
  detach(name: string): void;
  /** What that name's namespace answers, or the bridge's own where there is none; all of it, each time. */
  answer(name: string | undefined, routes: readonly Route[]): void;
  /**
   * In that name's namespace, what answers at `address:port` of its loopback although nobody listens there: what a pod itself listens on, at all addresses, is
   * left to it. All of it, each time.
   */
  near(name: string, routes: readonly Route[]): void;
  /** A socket that leads to a port of this machine's loopback, as a target of routes. */
  outside(port: number, host?: string): Promise<string>;
  stop(): Promise<void>;
}

const serviceRange = '10.96.0.0/16';
const podRange = 16;
const firstNearPort = 20_000;
const gateway = '10.244.0.1';
const program = fileURLToPath(new URL('relay.ts', import.meta.url));

export interface NetworkOptions {
  /** Begins the names of its namespaces. */
  readonly prefix: string;
  readonly directory: string;
  /** Words before a command that is to end with the cluster. */
  readonly kept: readonly string[];
}

export function createNetwork({ prefix, directory, kept }: NetworkOptions): Network {
  const relays = new Map<string, ReturnType<typeof spawn>>();
  const answered = new Map<string, string>();
  const nears = new Map<string, string>();
  const outsides = new Map<string, { target: string; close: () => void }>();
  const entering = (namespace: string) => ['nsenter', `--net=/run/netns/${namespace}`, '--'];
  let links = 0;

  runProgram('ip', ['netns', 'add', prefix]);
  batch(prefix, [
    'link set dev lo up',
    'link add pods type bridge forward_delay 0',
    `address add ${gateway}/${podRange} dev pods`,
    'link set dev pods up',
    // Every address of Services is this namespace's own.
    `route add local ${serviceRange} dev lo`,
  ]);

  function startRelay(namespace: string): ReturnType<typeof spawn> {
    const log = openSync(join(directory, `relay-${namespace}.log`), 'a', 0o600);
    const words = [...kept, ...entering(namespace), process.execPath, program];
    const relay = spawn(words[0] ?? '', words.slice(1), { stdio: ['pipe', log, log] });
    relay.stdin?.on('error', () => undefined); // It ended with the cluster.
    relays.set(namespace, relay);
    return relay;
  }

  return {
    gateway,
    attach(name, address) {
      const namespace = `${prefix}-${name}`;
      const far = `v${(links += 1)}`;
      runProgram('ip', ['netns', 'add', namespace]);
      runProgram('ip', ['link', 'add', far, 'netns', prefix, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace]); // prettier-ignore
      batch(namespace, [
        'link set dev lo up',
        'link set dev eth0 up',
        `address add ${address}/${podRange} dev eth0`,
        `route add default via ${gateway}`,
      ]);
      batch(prefix, [`link set dev ${far} master pods up`]);
      return entering(namespace);
    },
    detach(name) {
      const namespace = `${prefix}-${name}`;
      relays.get(namespace)?.stdin?.end();
      answered.delete(namespace);
      runProgram('ip', ['netns', 'del', namespace]);
    },
    answer(name, routes) {
      const namespace = name === undefined ? prefix : `${prefix}-${name}`;
      const line = JSON.stringify(routes);
      if (answered.get(namespace) === line) return;
      answered.set(namespace, line);
      (relays.get(namespace) ?? startRelay(namespace)).stdin?.write(`${line}\n`);
    },
    near(name, routes) {
      const moved = routes.map(({ listen, targets }, at) => ({ from: listen, to: firstNearPort + at, targets }));
      const rules = moved.map(({ from, to }) => {
        const [address = '', port = ''] = from.split(':');
        return `ip daddr ${address} tcp dport ${port} redirect to :${to}`;
      });
      const table = `table ip near {\nchain out {\ntype nat hook output priority -100;\n${rules.join('\n')}\n}\n}\n`;
      const namespace = `${prefix}-${name}`;
      if (nears.get(namespace) !== table)
        runProgram(
          'nsenter',
          [`--net=/run/netns/${namespace}`, '--', findProgram('nft') ?? 'nft', '-f', '-'],
          `table ip near\ndelete table ip near\n${table}`,
        );
      nears.set(namespace, table);
      this.answer(
        name,
        moved.map(({ to, targets }) => ({ listen: `127.0.0.1:${to}`, targets })),
      );
    },
    async outside(port, host = '127.0.0.1') {
      const key = `${host}-${port}`;
      const known = outsides.get(key);
      if (known !== undefined) return known.target;
      const path = join(directory, `${key}.sock`);
      const server = createServer((near) => {
        const far = connect(port, host);
        near.pipe(far).pipe(near);
        near.on('error', () => far.destroy());
        far.on('error', () => near.destroy());
      });
      await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
      outsides.set(key, { target: `unix:${path}`, close: () => server.close() });
      return `unix:${path}`;
    },
    async stop() {
      for (const { close } of outsides.values()) close();
      const ended = [...relays.values()].map(
        (relay) =>
          new Promise((resolve) => {
            if (relay.exitCode !== null || relay.signalCode !== null) resolve(undefined);
            else relay.once('exit', resolve).stdin?.end();
          }),
      );
      await Promise.all(ended);
    },
  };
}

function batch(namespace: string, lines: readonly string[]): void {
  runProgram('ip', ['-n', namespace, '-batch', '-'], `${lines.join('\n')}\n`);
}
