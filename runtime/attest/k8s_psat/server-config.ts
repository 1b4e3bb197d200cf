// Configuration of k8s_psat's server half: SPIRE's keys. Names are held to what a SPIFFE ID can have.
import * as z from 'zod';
import { checkPathSegment } from '../../spiffe/id-text.ts';
import { namedBlocks, parsePluginConfig } from '../plugin-config.ts';
import type { PluginData } from '../plugin-config.ts';

const text = z.string().min(1);
const keys = z.array(text).default([]);

const cluster = z.strictObject({
  service_account_allow_list: z
    .array(z.string().regex(/^[^:]+:[^:]+$/, 'must be service accounts as namespace:name'))
    .min(1, 'must have one service account at least'),
  audience: z.array(text).default(['spire-server']),
  kube_config_file: z.string().default(''),
  allowed_node_label_keys: keys,
  allowed_pod_label_keys: keys,
  use_pod_uid_for_agent_id: z.boolean().default(false),
});
export type ClusterConfig = z.output<typeof cluster>;

/** A name stands in agents' IDs as it is: one segment, so that none reaches into another cluster's agents. */
const clusters = namedBlocks(cluster).superRefine((named, context) => {
  for (const name of Object.keys(named)) {
    try {
      checkPathSegment(name);
    } catch (cause) {
      context.addIssue(`cluster ${JSON.stringify(name)} cannot stand in a SPIFFE ID: ${(cause as Error).message}`);
    }
  }
});

const configSchema = z.strictObject({ clusters: clusters.prefault({}) });

/** By name. A map, as a name may be one that every object has. */
export function parseK8sPsatConfig(data: PluginData): ReadonlyMap<string, ClusterConfig> {
  const { clusters } = parsePluginConfig('NodeAttestor "k8s_psat"', configSchema, data);
  return new Map(Object.entries(clusters));
}
