// The server under load, in a process of its own: `npm run bench` forks it, tells it its database, and asks it what it has used.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseHcl } from '../../runtime/hcl/parse.ts';
import { createLog } from '../../runtime/log.ts';
import { parseServerConfig } from '../../runtime/server/config/server-config.ts';
import { startServer } from '../../runtime/server/server.ts';

/** What a case wants otherwise than the rest. */
export interface ServerChoices {
  readonly address?: string;
  readonly port?: number;
  /** Lines of the server's section, and of its plugins. */
  readonly settings?: string;
  readonly plugins?: string;
}

export interface ServerReady {
  readonly kind: 'ready';
  readonly port: number;
  readonly socketPath: string;
  readonly directory: string;
}

export interface ServerUsage {
  readonly kind: 'usage';
  /** Microseconds, user and system, since it started. */
  readonly cpu: number;
  /** Bytes. */
  readonly rss: number;
  /** The longest time that the event loop was held up since it was last asked, in milliseconds. */
  readonly stallMs: number;
}

export type ServerMessage = ServerReady | ServerUsage;

const [databaseUrl = '', given = '{}'] = process.argv.slice(2);
const { address = '127.0.0.1', port = 0, settings = '', plugins = '' } = JSON.parse(given) as ServerChoices;
const send = (message: ServerMessage): void => void process.send?.(message);

const directory = await mkdtemp(join(tmpdir(), 'bench-'));
const socketPath = join(directory, 'private/api.sock');
const config = parseServerConfig(
  parseHcl(`
    server {
      bind_address = "${address}"
      bind_port = ${port}
      socket_path = "${socketPath}"
      trust_domain = "example.org"
      data_dir = "${directory}/data"
      log_level = "WARN"
      ratelimit { attestation = false signing = false }
      ${settings}
    }
    plugins {
      DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "${databaseUrl}" } }
      KeyManager "memory" { plugin_data {} }
      ${plugins}
    }`),
);
const stopping = new AbortController();
const log = createLog({ level: 'warn', format: 'text', write: (line) => process.stderr.write(line) });
/** How often the event loop's delay is looked at, which every delay holds. */
const lookMs = 10;
const delay = monitorEventLoopDelay({ resolution: lookMs });
delay.enable();
const server = await startServer(config, { log, clock: Date.now, signal: stopping.signal });

process.on('message', () => {
  const { user, system } = process.cpuUsage();
  const stallMs = Math.max(0, delay.max / 1e6 - lookMs);
  delay.reset();
  send({ kind: 'usage', cpu: user + system, rss: process.memoryUsage.rss(), stallMs });
});
process.once('disconnect', () => void server.close().finally(() => process.exit(0)));
send({ kind: 'ready', port: server.address.port, socketPath, directory });
