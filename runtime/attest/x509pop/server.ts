// Server half of x509pop.
import type { ServerAttestor, ServerAttestorDeps } from '../attestor.ts';
import type { PluginData } from '../plugin-config.ts';

export function createX509PopServerAttestor(_data: PluginData, _deps: ServerAttestorDeps): ServerAttestor {
  throw new Error('not there yet');
}
