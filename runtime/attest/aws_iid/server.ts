// Server half of aws_iid.
import type { ServerAttestor, ServerAttestorDeps } from '../attestor.ts';
import type { PluginData } from '../plugin-config.ts';

export function createAwsIidServerAttestor(_data: PluginData, _deps: ServerAttestorDeps): ServerAttestor {
  throw new Error('not there yet');
}
