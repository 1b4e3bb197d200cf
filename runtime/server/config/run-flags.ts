// The flags of `run` and `validate`. What they override in the configuration is said in load-config.ts.
import type { FlagSpecs } from '../../cli/flags.ts';

export const runFlags = {
  bindAddress: { kind: 'string', default: '', help: 'IP address or DNS name of the SPIRE server' },
  config: { kind: 'string', default: '', help: 'Path to a SPIRE config file' },
  dataDir: { kind: 'string', default: '', help: 'Directory to store runtime data to' },
  expandEnv: { kind: 'boolean', help: 'Expand environment variables in SPIRE config file' },
  logFile: { kind: 'string', default: '', help: 'File to write logs to' },
  logFormat: { kind: 'string', default: '', help: "'text' or 'json'" },
  logLevel: { kind: 'string', default: '', help: "'debug', 'info', 'warn', or 'error'" },
  logSourceLocation: {
    kind: 'boolean',
    help: 'Include source file, line number and function name in log lines',
  },
  serverPort: { kind: 'number', default: 0, help: 'Port number of the SPIRE server' },
  socketPath: { kind: 'string', default: '', help: 'Path to bind the SPIRE Server API socket to' },
  trustDomain: { kind: 'string', default: '', help: 'The trust domain that this server belongs to' },
} as const satisfies FlagSpecs;
