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

/** Throws a ConfigError, or an HclError for text that is no HCL. `$$` stands for a dollar sign. */
export function loadServerConfig(flags: FlagValues<typeof runFlags>, env: NodeJS.ProcessEnv): ServerConfig {
  const { config, expandEnv: expand } = flags;
  const path = config === '' ? defaultConfigPath : config;
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
