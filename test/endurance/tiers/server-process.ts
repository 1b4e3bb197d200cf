// A server of ours in a process of its own that ends itself, as kill -9 would, at the place between two steps of its CA that it is told. Its runner is
// its parent: without it, it ends too.
import { readFileSync } from 'node:fs';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { createLog } from '../../../runtime/log.ts';
import type { FaultPoint } from '../../../runtime/server/ca/fault-points.ts';
import { parseServerConfig } from '../../../runtime/server/config/server-config.ts';
import { startServer } from '../../../runtime/server/server.ts';

/** `null`: nowhere. */
export interface Order {
  readonly dieAt: FaultPoint | null;
}

const [configPath = '', logPath = ''] = process.argv.slice(2);
let dieAt: FaultPoint | null = null;

const config = parseServerConfig(parseHcl(readFileSync(configPath, 'utf8')));
const log = createLog({ level: 'debug', format: 'text', file: logPath });
await startServer(config, {
  log,
  clock: Date.now,
  signal: new AbortController().signal,
  faultPoint(point) {
    if (point === dieAt) process.kill(process.pid, 'SIGKILL');
  },
});
process.on('message', (order: Order) => {
  dieAt = order.dieAt;
  process.send?.('heard');
});
process.once('disconnect', () => process.exit(0));
process.send?.('ready');
