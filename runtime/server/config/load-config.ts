// From the command line of `run` and `validate` to a checked configuration: flags, file, environment.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expandEnv } from '../../hcl/expand-env.ts';
import { parseHcl } from '../../hcl/parse.ts';
import type { HclObject } from '../../hcl/value.ts';
import type { FlagValues } from '../../cli/flags.ts';
import { ConfigError } from './hcl-schema.ts';
import type { runFlags } from './run-flags.ts';
import { parseServerConfig } from './server-config.ts';
import type { ServerConfig } from './server-config.ts';

const defaultConfigPath = 'conf/server/server.conf';

/**
 * Throws a ConfigError with every fault, each with the file's name, those of `check` too; or an HclError for text that is neither HCL nor JSON.
 * `$$` stands for a dollar sign.
 */
export function loadServerConfig(
  flags: FlagValues<typeof runFlags>,
  env: NodeJS.ProcessEnv,
  check: (config: ServerConfig) => void,
): ServerConfig {
  const { config, expandEnv: expand } = flags;
  const path = config === '' ? defaultConfigPath : config;
  const written = readConfigFile(path);
  const file = parseHcl(expand ? expandEnv(written, { ...env, $: '$' }) : written, path);
  try {
    const config = parseServerConfig(file, overridesOf(flags), loadPluginData);
    check(config);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const named = error.faults.map((fault) => `${path}: ${fault}`);
    throw new ConfigError(named, { cause: error });
  }
}

/** What a plugin's `plugin_data_file` holds. Its variables are not expanded, as in SPIRE. */
export function loadPluginData(path: string): HclObject {
  return parseHcl(readFileSync(path, 'utf8'), path);
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
  const overrides: Record<string, string | number | boolean> = {
    bind_address: flags.bindAddress,
    bind_port: flags.serverPort,
    data_dir: flags.dataDir,
    log_file: flags.logFile,
    log_format: flags.logFormat,
    log_level: flags.logLevel,
    log_source_location: flags.logSourceLocation,
    socket_path: flags.socketPath,
    trust_domain: flags.trustDomain,
  };
  const given = Object.entries(overrides).filter(([, value]) => value !== '' && value !== 0 && value !== false);
  return Object.fromEntries(given);
}
