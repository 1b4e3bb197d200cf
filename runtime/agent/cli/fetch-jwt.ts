// `api fetch jwt`: a JWT-SVID for this very process, and the bundles to validate such tokens with.
import { parseFlags } from '../../cli/flags.ts';
import { outputFlag } from '../../cli/output-flag.ts';
import { CommandError } from './terminal.ts';
import type { Command } from './terminal.ts';
import { apiFlags, firstOf, withWorkloadClient } from './workload-client.ts';

export const fetchJwtFlags = {
  ...apiFlags,
  ...outputFlag,
  audience: { kind: 'list', help: 'comma separated list of audience values' },
  format: { ...outputFlag.output, default: '', help: 'deprecated; use -output' },
  spiffeID: { kind: 'string', default: '', help: 'SPIFFE ID subject (optional)' },
} as const;

export const fetchJwt: Command = async (argv, { terminal, env, signal }) => {
  const { values } = parseFlags(argv, fetchJwtFlags);
  const output = values.format === '' ? values.output : values.format;
  const audience = values.audience.flatMap((list) => list.split(',')).filter((name) => name !== '');
  if (audience.length === 0) throw new CommandError('audience must be specified');

  const { svids, bundles } = await withWorkloadClient({ ...values, env, signal }, async ({ api, call }) => ({
    ...(await firstOf(api.fetchJwtBundles({}, call))),
    ...(await api.fetchJwtsvid({ audience, spiffeId: values.spiffeID }, call)),
  }));
  if (output === 'json') {
    const encoded = Object.entries(bundles).map(
      ([name, jwks]) => [name, Buffer.from(jwks).toString('base64')] as const,
    );
    const list = svids.map(({ spiffeId, svid, hint }) => ({ hint, spiffe_id: spiffeId, svid }));
    terminal.print(JSON.stringify([{ svids: list }, { bundles: Object.fromEntries(encoded) }]));
    return 0;
  }
  for (const { spiffeId, svid, hint } of svids) {
    terminal.print(`token(${spiffeId}):\n\t${svid}`);
    if (hint !== '') terminal.print(`hint(${spiffeId}):\n\t${hint}`);
  }
  for (const [trustDomain, jwks] of Object.entries(bundles)) {
    terminal.print(`bundle(${trustDomain}):\n\t${Buffer.from(jwks).toString('utf8')}`);
  }
  return 0;
};
