// The `server` section of SPIRE's server.conf, with our own `ttl_lattice` beside it. Keys of features that we do not have are
// refused by name.
import * as z from 'zod';
import { parseLogFormat, parseLogLevel } from '../../log.ts';
import { parseKeyType } from '../../pki/key-type.ts';
import { parseTrustedNetworks } from '../../rpc/proxy-protocol.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../spiffe/trust-domain.ts';
import { experimentalSection } from './experimental-section.ts';
import { federationSection } from './federation-section.ts';
import { block, duration, durationOrZero, flag, parsed, port, text, wholeNumber } from './hcl-schema.ts';

const names = z.array(z.string());

const caSubject = z.strictObject({
  country: names.optional(),
  organization: names.optional(),
  common_name: text.optional(),
});

const rateLimit = z.strictObject({ attestation: flag.default(true), signing: flag.default(true) });

const dumped = 'profiles are not dumped to files here: fetch them from profiling_port';
const zero = (reason: string) => wholeNumber.refine((value) => value === 0, { error: reason });

const profilingKeys = {
  profiling_enabled: flag.default(false),
  profiling_freq: zero(dumped).optional(),
  profiling_names: z.array(z.string()).max(0, { error: dumped }).optional(),
  profiling_port: port.default(0),
};

const cidr = parsed((value) => {
  parseTrustedNetworks([value]);
  return value;
});

const required = (key: string) => ({ error: `${key} must be configured` });

export const serverSection = block(
  z.strictObject(
    {
      ...profilingKeys,
      admin_ids: z.array(parsed(parseSpiffeId)).default([]),
      agent_ttl: duration.optional(),
      audit_log_enabled: flag.default(false),
      bind_address: text.default('0.0.0.0'),
      bind_port: port.default(8081),
      ca_key_type: parsed(parseKeyType).default('ec-p256'),
      ca_subject: block(caSubject).optional(),
      ca_ttl: duration.default(24 * 3_600_000),
      data_dir: z.string(required('data_dir')).min(1, required('data_dir')),
      default_jwt_svid_ttl: duration.default(5 * 60_000),
      default_x509_svid_ttl: duration.default(3_600_000),
      disable_jwt_svids: flag.default(false),
      experimental: block(experimentalSection).optional(),
      federation: federationSection.optional(),
      jwt_issuer: text.optional(),
      jwt_key_type: parsed(parseKeyType).optional(),
      log_file: text.optional(),
      log_format: parsed((value) => known('log format', value, parseLogFormat(value))).default('text'),
      log_level: parsed((value) => known('log level', value, parseLogLevel(value))).default('info'),
      log_source_location: flag.default(false),
      max_attested_node_info_staleness: durationOrZero.default(0),
      proxy_protocol_trusted_cidrs: z.array(cidr).default([]),
      prune_attested_nodes_batch_size: wholeNumber.optional(),
      prune_attested_nodes_expired_for: duration.optional(),
      prune_tofu_nodes: flag.default(false),
      ratelimit: block(rateLimit).default({ attestation: true, signing: true }),
      socket_path: text.default('/tmp/spire-server/private/api.sock'),
      trust_domain: z.string(required('trust_domain')).min(1, required('trust_domain')).pipe(parsed(parseTrustDomain)),
      ttl_lattice: z.enum(['warn', 'enforce']).default('warn'),
    },
    required('server section'),
  ),
);

export type ServerSection = z.output<typeof serverSection>;

function known<T>(what: string, value: string, found: T | undefined): T {
  if (found === undefined) throw new Error(`unknown ${what} "${value}"`);
  return found;
}
