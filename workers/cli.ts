// The control plane's command line: `espalier up`, `down`, `approve`, `schedules apply`, `alerts` and `operator`.
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { openReceiver } from './alerts/receiver.ts';
import { readAlertSettings } from './alerts/settings.ts';
import { approve } from './approve.ts';
import { operate } from './operator/operate.ts';
import { down } from './down.ts';
import { applySchedules } from './schedules.ts';
import { isolations } from './up/isolation.ts';
import { loadSpec } from './up/load-spec.ts';
import { up } from './up.ts';

const usage = `usage: espalier up [--once] [--file <trust-domain.yaml>] [--state <directory>] [--isolation none|namespaces]
       espalier down [--file <trust-domain.yaml>] [--state <directory>]
       espalier approve --gate activation|revocation --reason <text> [--plan-digest <digest>] [--as <name>] [--file <trust-domain.yaml>]
       espalier schedules apply [--schedules <schedules.yaml>] [--file <trust-domain.yaml>]
       espalier alerts [--listen 127.0.0.1:9095] [--secret-file <file>] [--tls-certificate <file> --tls-key <file> [--client-ca <file>]] [--file <trust-domain.yaml> | --topology <file>]
       espalier operator [--kubeconfig <file>] [--namespace <namespace>] [--lease-namespace <namespace>] [--health <address:port>]
`;
const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    once: { type: 'boolean', default: false },
    state: { type: 'string', default: join(root, '.espalier') },
    file: { type: 'string', default: join(root, 'trust-domain.yaml') },
    isolation: { type: 'string' },
    schedules: { type: 'string', default: join(root, 'schedules.yaml') },
    gate: { type: 'string' },
    reason: { type: 'string' },
    'plan-digest': { type: 'string' },
    as: { type: 'string' },
    listen: { type: 'string', default: '127.0.0.1:9095' },
    'secret-file': { type: 'string' },
    'tls-certificate': { type: 'string' },
    'tls-key': { type: 'string' },
    'client-ca': { type: 'string' },
    topology: { type: 'string' },
    kubeconfig: { type: 'string' },
    namespace: { type: 'string' },
    'lease-namespace': { type: 'string', default: 'espalier-system' },
    health: { type: 'string' },
  },
});

const stopping = new AbortController();
const stop = (signal: NodeJS.Signals): void =>
  stopping.abort(new Error(`stopped by ${signal}; the workflow goes on at the next start`));
process.on('SIGINT', stop);
process.on('SIGTERM', stop);

async function run(): Promise<number> {
  const [command, ...others] = positionals;
  if (command === 'schedules' && others.join(' ') === 'apply') {
    const spec = loadSpec(values.file);
    await applySchedules({ client: await connect(), file: values.schedules, spec, output: process.stdout });
    return 0;
  }
  if (others.length > 0) return refuse(`unexpected argument ${others.join(' ')}`);
  if (command === 'approve') return approveChange();
  if (command === 'alerts') return receiveAlerts();
  if (command === 'operator') return operateClaims();
  const options = { root, stateDirectory: resolve(values.state), specFile: values.file, output: process.stdout };
  if (command === 'up') {
    const isolation = isolations.find((one) => one === values.isolation);
    if (isolation !== values.isolation) return refuse(`--isolation must be ${isolations.join(' or ')}`);
    await up({ ...options, once: values.once, isolation, signal: stopping.signal });
    return 0;
  }
  if (command === 'down') return (await down({ ...options, signal: stopping.signal })) ? 0 : 1;
  return refuse(command === undefined ? 'no command' : `unknown command ${command}`);
}

async function approveChange(): Promise<number> {
  const { gate, reason, as, 'plan-digest': planDigest, file } = values;
  if (gate !== 'activation' && gate !== 'revocation') return refuse('--gate must be activation or revocation');
  if (reason === undefined || reason === '') return refuse('--reason must say why');
  const { trustDomain } = loadSpec(file);
  const client = await connect();
  await approve({ client, trustDomain, gate, reason, planDigest, as, env: process.env, output: process.stdout });
  return 0;
}

/** Until it is stopped. */
async function receiveAlerts(): Promise<number> {
  const settings = readAlertSettings({
    listen: values.listen,
    secretFile: values['secret-file'],
    tlsCertificate: values['tls-certificate'],
    tlsKey: values['tls-key'],
    clientCa: values['client-ca'],
    topology: values.topology,
    spec: values.file,
  });
  const say = (line: string): void => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);
  const receiver = await openReceiver({ ...settings, client: await connect(), say });
  say(`alerts of ${settings.trustDomain} are taken at ${receiver.url}`);
  if (!stopping.signal.aborted) await once(stopping.signal, 'abort');
  await receiver.close();
  return 0;
}

/** Until it is stopped. */
async function operateClaims(): Promise<number> {
  const { kubeconfig, namespace, 'lease-namespace': leaseNamespace, health } = values;
  const { connectionOptions, namespace: temporalNamespace = 'default' } = loadClientConnectConfig();
  // Temporal may be away: that stands in the claims, and is no end.
  const client = new Client({ connection: Connection.lazy(connectionOptions), namespace: temporalNamespace });
  await operate({ client, kubeconfig, namespace, leaseNamespace, health, signal: stopping.signal });
  return 0;
}

/** Where `TEMPORAL_ADDRESS` or a profile says, as `temporal` itself. */
async function connect(): Promise<Client> {
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig();
  return new Client({ connection: await Connection.connect(connectionOptions), namespace });
}

function refuse(reason: string): number {
  process.stderr.write(`espalier: ${reason}\n${usage}`);
  return 2;
}

try {
  process.exitCode = await run();
} catch (cause) {
  const messages: string[] = [];
  for (let current: unknown = cause; current instanceof Error; current = current.cause) {
    if (!messages.includes(current.message)) messages.push(current.message);
  }
  process.stderr.write(`espalier: ${messages.join(': ')}\n`);
  process.exitCode = stopping.signal.aborted ? 130 : 1;
}
// Everything has been stopped by now; what a connection to Temporal still tries keeps nobody waiting.
process.exit();
