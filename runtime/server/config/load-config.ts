// From the command line of `run` and `validate` to a checked configuration: flags, file, environment.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expandEnv } from '../../hcl/expand-env.ts';
import { parseHcl } from '../../hcl/parse.ts';
import type { HclObject } from '../../hcl/value.ts';
import type { FlagSpecs, FlagValues } from '../../cli/flags.ts';
import { ConfigError } from './hcl-schema.ts';
import { parseServerConfig } from './server-config.ts';
import type { ServerConfig } from './server-config.ts';

export const runFlags = {
  bindAddress: { kind: 'string', help: 'IP address or DNS name of the SPIRE server' },
  config: { kind: 'string', default: 'conf/server/server.conf', help: 'Path to a SPIRE config file' },
  dataDir: { kind: 'string', help: 'Directory to store runtime data to' },
  expandEnv: { kind: 'boolean', help: 'Expand environment variables in SPIRE config file' },
  logFile: { kind: 'string', help: 'File to write logs to' },
  logFormat: { kind: 'string', help: "'text' or 'json'" },
  logLevel: { kind: 'string', help: "'debug', 'info', 'warn', or 'error'" },
  serverPort: { kind: 'number', help: 'Port number of the SPIRE server' },
  socketPath: { kind: 'string', help: 'Path to bind the SPIRE Server API socket to' },
  trustDomain: { kind: 'string', help: 'The trust domain that this server belongs to' },
} as const satisfies FlagSpecs;

/** Throws a ConfigError, or an HclError for text that is no HCL. `$$` stands for a dollar sign. */
export function loadServerConfig(flags: FlagValues<typeof runFlags>, env: NodeJS.ProcessEnv): ServerConfig {
  const { config: path, expandEnv: expand } = flags;
  const written = readConfigFile(path);
  return parseServerConfig(
    parseHcl(expand ? expandEnv(written, { ...env, $: '$' }) : written, path),
    overridesOf(flags),
  );
}

function readConfigFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new ConfigError([`could not find config file ${resolve(path)}: please use the -config flag`], { cause });
    }
    throw new ConfigError([`unable to read configuration at "${path}": ${(cause as Error).message}`], { cause });
  }
}

/** A flag left empty does not override, as in SPIRE. */
function overridesOf(flags: FlagValues<typeof runFlags>): HclObject {
  const overrides: Record<string, string | number | undefined> = {
    bind_address: flags.bindAddress,
    bind_port: flags.serverPort,
    data_dir: flags.dataDir,
    log_file: flags.logFile,
    log_format: flags.logFormat,
    log_level: flags.logLevel,
    socket_path: flags.socketPath,
    trust_domain: flags.trustDomain,
  };
  const given = Object.entries(overrides).filter(([, value]) => value !== undefined && value !== '' && value !== 0);
  return Object.fromEntries(given) as HclObject;
}
