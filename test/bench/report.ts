// The bench's figures as Markdown and as JSON.
import { cpus } from 'node:os';
import type { LargeStart } from './large-start.ts';
import type { Figures } from './measure.ts';

export interface Report {
  readonly date: string;
  readonly machine: { readonly signMs: number; readonly verifyMs: number };
  readonly figures: readonly Figures[];
  readonly largeStart?: LargeStart;
}

export function markdownOf({ date, machine, figures, largeStart }: Report): string {
  const reference = `one P-256 signature ${number(machine.signMs)} ms, its verification ${number(machine.verifyMs)} ms`;
  const lines = [
    `Measured ${date.slice(0, 10)}, Node ${process.versions.node}, ${cpus().length} cores; ${reference}.`,
    '',
    '| Call | Server CPU, best round | Median round | A second | p50 | p99 | SPIRE 1.15.3 |',
    '|---|---|---|---|---|---|---|',
    ...figures.map(rowOf),
  ];
  if (largeStart !== undefined) {
    const { entries, readyMs, cpuMs, rssMb } = largeStart;
    const start = `ready after ${number(readyMs / 1000)} s (${number(cpuMs / 1000)} s of CPU), ${rssMb.toFixed(0)} MiB resident`;
    lines.push('', `On ${entries.toLocaleString('en')} entries: ${start}.`);
  }
  return `${lines.join('\n')}\n`;
}

function rowOf({ name, unit, cpuMs, perSecond, latencyMs, spire }: Figures): string {
  const cells = [
    name,
    `${number(cpuMs.least)} ms per ${unit}`,
    `${number(cpuMs.median)} ms`,
    Math.round(perSecond).toLocaleString('en'),
    `${number(latencyMs.p50)} ms`,
    `${number(latencyMs.p99)} ms`,
    spire ?? '',
  ];
  return `| ${cells.join(' | ')} |`;
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(value >= 10 ? 3 : 2);
}
