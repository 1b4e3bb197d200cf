// Entry of a demonstration workload's process. Its identity comes from the Workload API; it waits for it as long as it takes.
import { createLog } from '../log.ts';
import { createWorkloadApi } from '../workloadapi/workload-api.ts';
import { createX509Source } from '../workloadapi/x509-source.ts';
import { startDemoWorkload } from './demo-workload.ts';
import { parseWorkloadConfig } from './workload-config.ts';

const log = createLog({ level: 'info', format: 'text' });
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)));

async function main(): Promise<void> {
  const config = parseWorkloadConfig(process.env);
  const api = createWorkloadApi({ env: process.env, log });
  const source = await createX509Source({ api, log, signal: stop.signal });
  const workload = await startDemoWorkload({ config, source, clock: Date.now, log });
  const { servicePort, controlPort } = workload;
  log.info(
    { spiffe_id: source.svid().id.toString(), service_port: servicePort, control_port: controlPort },
    'workload serves',
  );
  source.onUpdate(() => log.info({ spiffe_id: source.svid().id.toString() }, 'identity updated'));
  stop.signal.addEventListener('abort', () => {
    source.close();
    api.close();
    workload.close().catch((error: unknown) => log.error({ err: error }, 'workload did not close'));
  });
}

try {
  await main();
} catch (error) {
  if (!stop.signal.aborted) {
    log.error({ err: error }, 'workload ended');
    process.exitCode = 1;
  }
}
