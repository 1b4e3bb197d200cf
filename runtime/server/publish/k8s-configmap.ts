// Bundle publisher "k8s_configmap": the bundle under one key of a ConfigMap, in each of the clusters that are named, by server-side apply, so that what
// others keep in the same ConfigMap stays theirs. The library is loaded when there is something to publish.
import * as z from 'zod';
import { apiConfiguration, loadKubeConfig, reasonOf } from '../../attest/k8s_psat/kube-config.ts';
import { namedBlocks, parsePluginConfig } from '../../attest/plugin-config.ts';
import type { PluginData } from '../../attest/plugin-config.ts';
import type { Logger } from '../../log.ts';
import { parseDuration } from '../../spiffe/duration.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';
import { bundleFormats, formatBundle } from './bundle-format.ts';
import type { BundlePublisher } from './bundle-publisher.ts';

const name = 'k8s_configmap';
const timeoutMs = 20_000;
const fieldManager = `spire-bundlepublisher-${name}`;
const applyPatch = 'application/apply-patch+yaml';

/** They become a path: what Kubernetes would not take as a name is refused here. */
const objectName = z.string().regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'must be a name of Kubernetes');

const cluster = z.strictObject({
  format: z.string().toLowerCase().pipe(z.enum(bundleFormats, 'must be spiffe, jwks or pem')),
  namespace: objectName,
  configmap_name: objectName,
  configmap_key: z.string().regex(/^[-._a-zA-Z0-9]{1,253}$/, 'must be a key of a ConfigMap'),
  kubeconfig_path: z.string().default(''),
  refresh_hint: z
    .string()
    .transform((value, context): number | undefined => {
      if (value === '') return undefined;
      try {
        return Math.floor(parseDuration(value) / 1000);
      } catch (cause) {
        context.addIssue((cause as Error).message);
        return z.NEVER;
      }
    })
    .optional(),
});
type Cluster = z.output<typeof cluster>;

const configSchema = z.strictObject({ clusters: namedBlocks(cluster).prefault({}) });

export interface K8sConfigmapDeps {
  readonly log: Logger;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export function createK8sConfigmapPublisher(
  data: PluginData,
  { log, env = process.env }: K8sConfigmapDeps,
): BundlePublisher {
  const clusters = Object.entries(parsePluginConfig(`BundlePublisher "${name}"`, configSchema, data).clusters);
  if (clusters.length === 0) log.warn('No clusters configured, bundle will not be published');

  async function apply(id: string, config: Cluster, bundle: TrustBundle, signal: AbortSignal): Promise<void> {
    const hinted = config.refresh_hint === undefined ? bundle : { ...bundle, refreshHintSeconds: config.refresh_hint };
    const { namespace, configmap_name: configMap, configmap_key: key, format } = config;
    const library = await import('@kubernetes/client-node');
    const kubeConfig = loadKubeConfig(library, { file: config.kubeconfig_path, env });
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    const api = new library.CoreV1Api(apiConfiguration(library, kubeConfig, limit, { 'Content-Type': applyPatch }));
    const body = Object.assign(new library.V1ConfigMap(), {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: Object.assign(new library.V1ObjectMeta(), { name: configMap, namespace }),
      data: { [key]: formatBundle(hinted, format) },
    });
    await api.patchNamespacedConfigMap({ name: configMap, namespace, body, fieldManager });
    log.debug(
      { cluster_id: id, format, namespace, configmap: configMap, key },
      'Bundle published to Kubernetes ConfigMap',
    );
  }

  return {
    name,
    /** A cluster that cannot be reached keeps none of the others waiting. */
    async publish(bundle, signal) {
      const results = await Promise.allSettled(clusters.map(([id, config]) => apply(id, config, bundle, signal)));
      const failures = results.flatMap((result, i) =>
        result.status === 'rejected' ? [`cluster "${clusters[i]?.[0] ?? ''}": ${reasonOf(result.reason)}`] : [],
      );
      if (failures.length > 0) throw new Error(`failed to apply ConfigMap for ${failures.join('; ')}`);
    },
  };
}
