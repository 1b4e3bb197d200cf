// A program that runs in a network namespace: it listens where each line of its standard input says, and leads what comes to one of the targets in turn.
// A target is `host:port` there, or `unix:path`, which is the same socket in every network. It ends when its standard input does.
import { createServer, connect } from 'node:net';
import type { Server, Socket } from 'node:net';
import { createInterface } from 'node:readline';

export interface Route {
  /** `address:port`, or `unix:path`. */
  readonly listen: string;
  readonly targets: readonly string[];
}

const retryMs = 500;
const routes = new Map<string, { targets: readonly string[]; turn: number; server: Server }>();

createInterface(process.stdin)
  .on('line', (line) => apply(JSON.parse(line) as Route[]))
  .on('close', () => process.exit(0));

function apply(wanted: readonly Route[]): void {
  for (const [listen, { server }] of routes) {
    if (wanted.some((route) => route.listen === listen)) continue;
    server.close();
    routes.delete(listen);
  }
  for (const { listen, targets } of wanted) {
    const known = routes.get(listen);
    if (known !== undefined) known.targets = targets;
    else routes.set(listen, { targets, turn: 0, server: open(listen) });
  }
}

function open(listen: string): Server {
  const server = createServer((near) => lead(near, listen));
  server.on('error', (error) => {
    process.stderr.write(`${listen}: ${error.message}\n`);
    setTimeout(() => {
      if (routes.get(listen)?.server === server) begin();
    }, retryMs);
  });
  const [host = '', port = ''] = listen.split(':');
  const begin = () => (host === 'unix' ? server.listen(port) : server.listen(Number(port), host));
  return begin();
}

function lead(near: Socket, listen: string): void {
  const route = routes.get(listen);
  const target = route?.targets[route.turn++ % route.targets.length];
  // As a Service without an endpoint; a Unix socket cannot be reset.
  const refuse = () => (listen.startsWith('unix:') ? near.destroy() : near.resetAndDestroy());
  if (target === undefined) return void refuse();
  const [host = '', port = ''] = target.split(':');
  const far = host === 'unix' ? connect(port) : connect(Number(port), host);
  near.pipe(far).pipe(near);
  near.on('error', () => far.destroy());
  far.on('error', (error) => {
    process.stderr.write(`${listen} to ${target}: ${error.message}\n`);
    refuse();
  });
}
