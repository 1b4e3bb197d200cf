// Keys of SPIRE's agent that this one cannot honour: whoever sets one is told so by name, instead of running without it.
import type { HclReader } from '../../hcl/reader.ts';

/** SPIRE's own: a test's, which does nothing there either, and one that this agent lacks. */
const featureFlags: ReadonlyMap<string, 'nothing' | 'lacking'> = new Map([
  ['i_am_a_test_flag', 'nothing'],
  ['wit-svid', 'lacking'],
]);

const otherPlatform = { named_pipe_name: 'socket_path', admin_named_pipe_name: 'admin_socket_path' } as const;

export function readRefused(agent: HclReader, experimental: HclReader | undefined): void {
  readProfiling(agent);
  if (experimental === undefined) return;
  for (const [key, instead] of Object.entries(otherPlatform)) {
    if ((experimental.optionalString(key) ?? '') !== '')
      experimental.fault(key, `is not supported in this platform; please use ${instead} instead`);
  }
  if (experimental.has('broker')) {
    experimental.object('broker');
    experimental.fault('broker', 'not supported');
  }
  // Whoever asks for this protection must not run without it.
  if (experimental.optionalBoolean('require_pq_kem') === true)
    experimental.fault('require_pq_kem', 'not supported: true');
  for (const flag of experimental.strings('feature_flags')) {
    const known = featureFlags.get(flag);
    if (known === undefined) experimental.fault('feature_flags', `unknown feature flag(s): [${flag}]`);
    if (known === 'lacking') experimental.fault('feature_flags', `not supported: ${JSON.stringify(flag)}`);
  }
}

/** The other keys say how to profile; they mean nothing unless it is enabled. */
function readProfiling(agent: HclReader): void {
  agent.optionalNumber('profiling_port');
  agent.optionalNumber('profiling_freq');
  agent.optionalStrings('profiling_names');
  if (agent.optionalBoolean('profiling_enabled') === true) agent.fault('profiling_enabled', 'not supported: true');
}
