// What is wrong with a plugin's configuration. Apart from the schemas that find it: who only tells of it, or reads no more than a key or two, needs
// none of them.

/** Plugin data as the HCL reader gives it: a block is a list with one object. */
export type PluginData = Readonly<Record<string, unknown>>;

export class PluginConfigError extends Error {
  readonly plugin: string;
  readonly faults: readonly string[];

  constructor(plugin: string, faults: readonly string[]) {
    super(`configuration of ${plugin}: ${faults.join('; ')}`);
    this.name = 'PluginConfigError';
    this.plugin = plugin;
    this.faults = faults;
  }
}
