// The registry as the text that Prometheus reads (exposition format 0.0.4).
import type { Family, Labels, Registry } from './registry.ts';
import { CounterSeries, GaugeSeries, quantiles } from './series.ts';

export const contentType = 'text/plain; version=0.0.4; charset=utf-8';

export function expose(registry: Registry): string {
  return registry.read().flatMap(linesOf).join('');
}

/** A family without a value yet is not there. The help text is the name, as with SPIRE. */
function linesOf({ name, kind, series }: Family): string[] {
  const lines = [...series.values()].flatMap(({ labels, series: one }) => {
    if (one instanceof CounterSeries) return [line(name, labels, one.value)];
    if (one instanceof GaugeSeries) return one.value === undefined ? [] : [line(name, labels, one.value)];
    const latest = one.latest();
    return [
      ...quantiles.map((quantile, i) => line(name, { ...labels, quantile: String(quantile) }, latest[i] ?? NaN)),
      line(`${name}_sum`, labels, one.sum),
      line(`${name}_count`, labels, one.count),
    ];
  });
  return lines.length === 0 ? [] : [`# HELP ${name} ${name}\n`, `# TYPE ${name} ${kind}\n`, ...lines];
}

function line(name: string, labels: Labels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${numberText(value)}\n`;
}

function escape(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  return value === -Infinity ? '-Inf' : String(value);
}
