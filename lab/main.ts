// The lab's process: `lab/main.ts --state <directory> [--port <port>]`. Runs until SIGTERM or SIGINT; lab.json in the directory says where it is.
import { parseArgs } from 'node:util';
import { startLab } from './lab.ts';

const { values } = parseArgs({ options: { state: { type: 'string' }, port: { type: 'string', default: '0' } } });
const port = Number(values.port);
if (values.state === undefined || !Number.isInteger(port) || port < 0 || port > 65_535) {
  process.stderr.write('usage: lab/main.ts --state <directory> [--port <port>]\n');
  process.exit(2);
}

const log = (line: string) => {
  process.stderr.write(`${new Date().toISOString()} lab: ${line}\n`);
};
const lab = await startLab({ stateDirectory: values.state, port, clock: Date.now, log });
log(`ready at ${lab.description.endpoint}`);

let closing: Promise<void> | undefined;
const close = () => {
  closing ??= lab.close().then(
    () => process.exit(0),
    (cause: unknown) => {
      log(`closing: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`);
      process.exit(1);
    },
  );
};
process.on('SIGTERM', close);
process.on('SIGINT', close);
