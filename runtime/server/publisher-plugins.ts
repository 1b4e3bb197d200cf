// Makes the configured bundle publishers.
import { PluginConfigError } from '../attest/plugin-config-error.ts';
import type { PluginData } from '../attest/plugin-config-error.ts';
import type { Logger } from '../log.ts';
import { ConfigError } from './config/hcl-schema.ts';
import type { PluginsConfig } from './config/plugins-section.ts';
import type { BundlePublisher } from './publish/bundle-publisher.ts';
import { createK8sConfigmapPublisher } from './publish/k8s-configmap.ts';

type Create = (data: PluginData, deps: { readonly log: Logger }) => BundlePublisher;

const publishers: ReadonlyMap<string, Create> = new Map([['k8s_configmap', createK8sConfigmapPublisher]]);

/** Throws a ConfigError for publishers that do not exist or whose data does not hold. */
export function createBundlePublishers({ bundlePublishers }: PluginsConfig, log: Logger): BundlePublisher[] {
  const faults: string[] = [];
  const made = bundlePublishers.flatMap(({ name, data }) => {
    const place = `plugins.BundlePublisher.${name}`;
    const create = publishers.get(name);
    if (create === undefined) {
      faults.push(`${place}: no such bundle publisher`);
      return [];
    }
    try {
      return [create(data, { log: log.child({ plugin_name: name }) })];
    } catch (error) {
      if (!(error instanceof PluginConfigError)) throw error;
      faults.push(...error.faults.map((fault) => `${place}: ${fault}`));
      return [];
    }
  });
  const names = bundlePublishers.map(({ name }) => name);
  const twice = names.filter((name, index) => names.indexOf(name) !== index);
  faults.push(...twice.map((name) => `plugins.BundlePublisher.${name}: configured twice`));
  if (faults.length > 0) throw new ConfigError(faults);
  return made;
}
