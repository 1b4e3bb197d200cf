// Whether the agent may begin anew to trust its server, and after how long.
import type { HclReader } from '../../hcl/reader.ts';
import type { BundleSource } from '../node/bootstrap-bundle.ts';
import { rebootstrapModes } from '../node/bootstrapping.ts';
import type { AgentConfig } from './agent-config.ts';

const defaultDelayMs = 600_000;

export function readRebootstrap(agent: HclReader, source: BundleSource): AgentConfig['rebootstrap'] {
  const mode = agent.parsed('rebootstrap_mode', parseMode) ?? 'never';
  if (mode !== 'never' && source.kind === 'insecure')
    agent.fault('rebootstrap_mode', 'insecure_bootstrap option can not be used with rebootstrapping');
  return { mode, delayMs: agent.optionalDuration('rebootstrap_delay') ?? defaultDelayMs };
}

function parseMode(text: string) {
  const mode = rebootstrapModes.find((known) => known === text);
  if (mode === undefined && text !== '') throw new Error('unknown rebootstrap mode specified');
  return mode;
}
