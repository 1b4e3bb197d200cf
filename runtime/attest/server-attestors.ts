// The server halves of the node attestors by name. join_token is not here: its tokens are rows of the server's store, taken in one statement.
import type { ServerAttestor, ServerAttestorDeps } from './attestor.ts';
import { createAwsIidServerAttestor } from './aws_iid/server.ts';
import { createGcpIitServerAttestor } from './gcp_iit/server.ts';
import { createK8sPsatServerAttestor } from './k8s_psat/server.ts';
import type { PluginData } from './plugin-config.ts';
import { PluginConfigError } from './plugin-config.ts';
import { createX509PopServerAttestor } from './x509pop/server.ts';

type Create = (data: PluginData, deps: ServerAttestorDeps) => ServerAttestor;

const attestors: ReadonlyMap<string, Create> = new Map(
  Object.entries({
    aws_iid: createAwsIidServerAttestor,
    gcp_iit: createGcpIitServerAttestor,
    k8s_psat: createK8sPsatServerAttestor,
    x509pop: createX509PopServerAttestor,
  }),
);

/** Names that a server's configuration may use, join_token apart. */
export const serverAttestorTypes: readonly string[] = [...attestors.keys()];

/** Reads the plugin's configuration and the files that it names; throws PluginConfigError where they do not hold. */
export function createServerAttestor(type: string, data: PluginData, deps: ServerAttestorDeps): ServerAttestor {
  const create = attestors.get(type);
  if (create === undefined) throw new PluginConfigError(`NodeAttestor "${type}"`, ['no such node attestor']);
  return create(data, deps);
}
