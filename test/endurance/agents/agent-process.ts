// An agent of ours in a process of its own that ends itself, as kill -9 would, at the place between two steps that it is told: at its start, or later.
// Its runner is its parent: without it, it ends too.
import { readFileSync } from 'node:fs';
import { runAgent } from '../../../runtime/agent/agent.ts';
import { readAgentConfig } from '../../../runtime/agent/config/read-config.ts';
import type { FaultPoint } from '../../../runtime/agent/fault-points.ts';
import { parseHcl } from '../../../runtime/hcl/parse.ts';
import { createLog, describeError } from '../../../runtime/log.ts';

/** `null`: nowhere. */
export interface Order {
  readonly dieAt: FaultPoint | null;
}

const [configPath = '', logPath = '', first = 'null'] = process.argv.slice(2);
let dieAt = JSON.parse(first) as FaultPoint | null;

process.on('message', (order: Order) => {
  dieAt = order.dieAt;
  process.send?.('heard');
});
process.once('disconnect', () => process.exit(0));
const log = createLog({ level: 'debug', format: 'text', file: logPath });
try {
  await runAgent(readAgentConfig(parseHcl(readFileSync(configPath, 'utf8'))), {
    log,
    clock: Date.now,
    random: Math.random,
    signal: new AbortController().signal,
    onReady: () => process.send?.('ready'),
    faultPoint(point) {
      if (point === dieAt) process.kill(process.pid, 'SIGKILL');
    },
  });
} catch (error) {
  log.error({ error: describeError(error) }, 'Agent crashed');
  process.exit(1);
}
