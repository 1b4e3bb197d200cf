// Everything that is measured, by name: `prefix_key_key`, with labels. The names are SPIRE's, so its dashboards and alerts work here.
import { CounterSeries, GaugeSeries, SampleSeries } from './series.ts';
import type { Counter, Gauge, Sample } from './series.ts';

export type { Counter, Gauge, Sample } from './series.ts';

export type Key = readonly string[];
export type Labels = Readonly<Record<string, string>>;
type Series = CounterSeries | GaugeSeries | SampleSeries;
export type Kind = 'counter' | 'gauge' | 'summary';

export interface Family {
  readonly name: string;
  readonly kind: Kind;
  /** By labels, in the order in which they came up. */
  readonly series: ReadonlyMap<string, { readonly labels: Labels; readonly series: Series }>;
}

/** Where things are counted. Asked for the same key and labels again, it gives the same series. */
export interface Metrics {
  counter(key: Key, labels?: Labels): Counter;
  gauge(key: Key, labels?: Labels): Gauge;
  sample(key: Key, labels?: Labels): Sample;
  /** Milliseconds, for what lasts. */
  now(): number;
  /** Runs whenever the metrics are read: for what is so, not what happens. */
  onRead(look: () => void): void;
}

export interface Registry extends Metrics {
  /** All that may be shown, in order of their names. */
  read(): readonly Family[];
}

export interface RegistryOptions {
  readonly prefix: string;
  /** On every series, after SPIRE's order of filters. */
  readonly labels?: Labels;
  readonly allowedPrefixes?: readonly string[];
  readonly blockedPrefixes?: readonly string[];
  /** Undefined: all. An empty list lets none through. */
  readonly allowedLabels?: readonly string[] | undefined;
  readonly blockedLabels?: readonly string[];
  /** Monotonic, in ms. */
  readonly now: () => number;
}

interface OpenFamily extends Family {
  readonly series: Map<string, { readonly labels: Labels; readonly series: Series }>;
}

export function createRegistry(options: RegistryOptions): Registry {
  const { prefix, now } = options;
  const families = new Map<string, OpenFamily>();
  const looks: (() => void)[] = [];
  const isShown = prefixFilter(options);
  const isLabel = labelFilter(options);

  const find = <S extends Series>(kind: Kind, key: Key, labels: Labels, create: () => S): S => {
    const parts = [prefix, ...key];
    // What is not to be shown is counted all the same, in nobody's sight: those who count need not know.
    if (!isShown(parts.join('.'))) return create();
    const name = parts.join('_').replaceAll(/[ .=\-/]/g, '_');
    const family: OpenFamily = families.get(name) ?? { name, kind, series: new Map() };
    if (family.kind !== kind) throw new TypeError(`metric ${name} is a ${family.kind}, not a ${kind}`);
    families.set(name, family);
    const all = { ...sanitize(labels), ...options.labels };
    const shown = Object.fromEntries(
      Object.entries(all)
        .filter(([label]) => isLabel(label))
        .sort(byName),
    );
    const id = JSON.stringify(shown);
    const known = family.series.get(id)?.series as S | undefined;
    if (known !== undefined) return known;
    const series = create();
    family.series.set(id, { labels: shown, series });
    return series;
  };

  return {
    counter: (key, labels = {}) => find('counter', key, labels, () => new CounterSeries()),
    gauge: (key, labels = {}) => find('gauge', key, labels, () => new GaugeSeries()),
    sample: (key, labels = {}) => find('summary', key, labels, () => new SampleSeries(now)),
    now,
    onRead: (look) => void looks.push(look),
    read() {
      for (const look of looks) look();
      return [...families.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    },
  };
}

/** A registry that nobody reads, for parts that run without one. */
export function createIdleMetrics(): Metrics {
  return createRegistry({ prefix: 'idle', now: () => performance.now() });
}

/** The longest prefix decides; a name that none begins is shown, even where only some were allowed: SPIRE's filter does the same. */
function prefixFilter({ allowedPrefixes = [], blockedPrefixes = [] }: RegistryOptions): (name: string) => boolean {
  const rules = [
    ...blockedPrefixes.map((start) => [start, false] as const),
    ...allowedPrefixes.map((start) => [start, true] as const),
  ].sort(([a], [b]) => b.length - a.length);
  return (name) => rules.find(([start]) => name.startsWith(start))?.[1] ?? true;
}

function labelFilter({ allowedLabels, blockedLabels = [] }: RegistryOptions): (label: string) => boolean {
  return (label) => !blockedLabels.includes(label) && (allowedLabels === undefined || allowedLabels.includes(label));
}

/** Labels as SPIRE writes them: letters, digits and underscores only, so `example.org` is `example_org`. */
export function sanitize(labels: Labels): Labels {
  const clean = (text: string): string => text.replaceAll(/[^A-Za-z0-9_]+_?/g, '_');
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [clean(name), clean(value)]));
}

function byName([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1;
}
