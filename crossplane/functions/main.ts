// The function's process, with the flags that Crossplane's runtime gives to every function. Without certificates it does not start.
import { parseArgs } from 'node:util';
import { serveFunction } from './serve.ts';

const { values } = parseArgs({
  options: {
    address: { type: 'string', default: '0.0.0.0:9443' },
    'tls-server-certs-dir': { type: 'string', default: process.env['TLS_SERVER_CERTS_DIR'] ?? '' },
    insecure: { type: 'boolean', default: false },
    debug: { type: 'boolean', short: 'd', default: false },
  },
});

const directory = values['tls-server-certs-dir'];
if (!values.insecure && directory === '') {
  console.error('function: no certificates: --tls-server-certs-dir or TLS_SERVER_CERTS_DIR must name their folder');
  process.exit(2);
}
const running = await serveFunction(values.address, values.insecure ? 'insecure' : { directory });
console.log(`function: listening on port ${running.port}${values.insecure ? ', without TLS' : ''}`);
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void running.stop());
