// `api validate jwt`: has the agent judge a token as a workload would.
import { parseFlags } from '../../cli/flags.ts';
import { outputFlag } from '../../cli/output-flag.ts';
import { RpcError, rpcErrorText, statusCode } from '../../rpc/status.ts';
import { CommandError } from './terminal.ts';
import type { Command } from './terminal.ts';
import { apiFlags, withWorkloadClient } from './workload-client.ts';

export const validateJwtFlags = {
  ...apiFlags,
  ...outputFlag,
  audience: { kind: 'string', default: '', help: 'expected audience value' },
  svid: { kind: 'string', default: '', help: 'JWT SVID' },
} as const;

export const validateJwt: Command = async (argv, { terminal, env, signal }) => {
  const { values } = parseFlags(argv, validateJwtFlags);
  const { audience, svid, output } = values;
  if (audience === '') throw new CommandError('audience must be specified');
  if (svid === '') throw new CommandError('svid must be specified');

  const { spiffeId, claims } = await withWorkloadClient({ ...values, env, signal }, ({ api, call }) =>
    api.validateJwtsvid({ audience, svid }, call).catch(explain),
  );
  if (output === 'json') terminal.print(JSON.stringify({ claims: claims ?? {}, spiffe_id: spiffeId }));
  else terminal.print(`SVID is valid.\nSPIFFE ID : ${spiffeId}\nClaims    : ${JSON.stringify(claims ?? {})}`);
  return 0;
};

function explain(cause: unknown): never {
  if (!(cause instanceof RpcError)) throw cause;
  if (cause.code === statusCode.INVALID_ARGUMENT)
    throw new CommandError(`SVID is not valid: ${cause.message}`, { cause });
  throw new CommandError(`unable to validate JWT SVID: ${rpcErrorText(cause)}`, { cause });
}
