// The lab's process. Runs until SIGTERM or SIGINT; lab.json in its directory says where it is, once it is ready.
import { parseArgs } from 'node:util';
import { firstNetwork, lastNetwork } from './addresses.ts';
import { startLab } from './lab.ts';
import { isolations } from './state.ts';

const { values } = parseArgs({
  options: {
    state: { type: 'string' },
    port: { type: 'string', default: '0' },
    network: { type: 'string' },
    isolation: { type: 'string' },
    reach: { type: 'string', multiple: true, default: [] },
  },
});
const port = Number(values.port);
const network = values.network === undefined ? undefined : Number(values.network);
const isolation = isolations.find((one) => one === values.isolation);
const reach = values.reach.map(Number);
const isWithin = (value: number, least: number, most: number) =>
  Number.isInteger(value) && value >= least && value <= most;
if (
  values.state === undefined ||
  !isWithin(port, 0, 65_535) ||
  !isWithin(network ?? firstNetwork, firstNetwork, lastNetwork) ||
  isolation !== values.isolation ||
  !reach.every((each) => isWithin(each, 1, 65_535))
) {
  process.stderr.write(
    `usage: lab/main.ts --state <directory> [--port <port>] [--network <second byte of 127.x>] [--isolation ${isolations.join('|')}] [--reach <port of loopback>]…\n`,
  );
  process.exit(2);
}

const log = (line: string) => {
  process.stderr.write(`${new Date().toISOString()} lab: ${line}\n`);
};
const fail = (what: string) => (cause: unknown) => {
  log(`${what}: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`);
  process.exit(1);
};

// A signal that comes early waits for the lab to be there, so that no instance is left behind.
const starting = startLab({
  stateDirectory: values.state,
  port,
  ...(network === undefined ? {} : { network }),
  ...(isolation === undefined ? {} : { isolation }),
  reach,
  clock: Date.now,
  log,
});
let closing: Promise<void> | undefined;
const close = () => {
  closing ??= starting.then((lab) => lab.close()).then(() => process.exit(0), fail('closing'));
};
process.on('SIGTERM', close);
process.on('SIGINT', close);
const lab = await starting.catch(fail('starting'));
log(`ready at ${lab.description.endpoint}`);
