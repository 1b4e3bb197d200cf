// `experimental` of the server section. What SPIRE does by choice and this server always does is accepted; what it does not do is refused or said.
import * as z from 'zod';
import { duration, flag, text } from './hcl-schema.ts';

/** SPIRE's developers' switches. */
const knownFlags = ['i_am_a_test_flag', 'wit-svid'];

const featureFlags = z.array(z.string()).superRefine((flags, context) => {
  const unknown = flags.filter((name) => !knownFlags.includes(name)).sort();
  if (unknown.length > 0)
    context.addIssue({ code: 'custom', message: `unknown feature flag(s): [${unknown.join(' ')}]` });
  if (flags.includes('wit-svid')) context.addIssue({ code: 'custom', message: 'wit-svid is not supported' });
});

const notTrue = (reason: string) => flag.refine((value) => !value, { error: reason });

/** Loose: SPIRE takes keys here that it does not know, such as those of older releases. */
export const experimentalSection = z.looseObject({
  agent_spiffe_id_as_selector: notTrue('not supported').optional(),
  auth_opa_policy_engine: z.undefined({ error: 'not supported' }).optional(),
  /** How often lost notifications are made up for; changes arrive at once. */
  cache_reload_interval: duration.optional(),
  event_timeout: duration.optional(),
  events_based_cache: flag.optional(),
  feature_flags: featureFlags.optional(),
  full_cache_reload_interval: duration.optional(),
  named_pipe_name: z
    .literal('', { error: 'not supported in this platform; please use socket_path instead' })
    .optional(),
  prune_events_older_than: duration.optional(),
  require_pq_kem: notTrue('not supported: nothing here may run without it where it is asked for').optional(),
  sql_transaction_timeout: duration.optional(),
  wit_issuer: text.optional(),
  wit_key_type: text.optional(),
});

export type ExperimentalSection = z.output<typeof experimentalSection>;

const effective = ['cache_reload_interval', 'prune_events_older_than'];
/** What they ask for is so in any case: the cache follows events, and no transaction is waited for by time. */
const always = ['events_based_cache', 'event_timeout', 'sql_transaction_timeout', 'full_cache_reload_interval'];
const switchedOff = ['agent_spiffe_id_as_selector', 'feature_flags', 'named_pipe_name', 'require_pq_kem'];

export function experimentalFaults(section: ExperimentalSection | undefined): string[] {
  if (section?.event_timeout === undefined || section.sql_transaction_timeout === undefined) return [];
  return ['both experimental sql_transaction_timeout and event_timeout set, only set event_timeout'];
}

/** The keys that nothing here looks at. */
export function unusedExperimentalKeys(section: ExperimentalSection | undefined): string[] {
  const silent = [...effective, ...always, ...switchedOff];
  return Object.keys(section ?? {})
    .filter((key) => !silent.includes(key))
    .map((key) => `server.experimental.${key}`);
}
