// Server half of gcp_iit.
import type { ServerAttestor, ServerAttestorDeps } from '../attestor.ts';
import type { PluginData } from '../plugin-config.ts';

export function createGcpIitServerAttestor(_data: PluginData, _deps: ServerAttestorDeps): ServerAttestor {
  throw new Error('not there yet');
}
