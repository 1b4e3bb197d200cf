// The bench's figures as Markdown and as JSON.
import { cpus } from 'node:os';
import type { AgentPart } from './agent-cases.ts';
import type { LargeStart } from './large-start.ts';
import type { Figures } from './measure.ts';

export interface AgentFigures {
  readonly name: string;
  readonly parts: readonly AgentPart[];
  readonly wanted: string;
  readonly spire?: string;
}

export interface Report {
  readonly date: string;
  readonly machine: { readonly signMs: number; readonly verifyMs: number };
  readonly figures: readonly Figures[];
  readonly largeStart?: LargeStart;
  readonly agent: readonly AgentFigures[];
}

export function markdownOf({ date, machine, figures, largeStart, agent }: Report): string {
  const reference = `one P-256 signature ${number(machine.signMs)} ms, its verification ${number(machine.verifyMs)} ms`;
  const lines = [`Measured ${date.slice(0, 10)}, Node ${process.versions.node}, ${cpus().length} cores; ${reference}.`];
  if (figures.length > 0) {
    const head =
      '| Call | Server CPU, best round | Median round | A second | p50 | p99 | Longest stall | SPIRE 1.15.3 |';
    lines.push('', head, '|---|---|---|---|---|---|---|---|', ...figures.map(rowOf));
  }
  if (largeStart !== undefined) {
    const { entries, readyMs, cpuMs, rssMb } = largeStart;
    const start = `ready after ${number(readyMs / 1000)} s (${number(cpuMs / 1000)} s of CPU), ${rssMb.toFixed(0)} MiB resident`;
    lines.push('', `On ${entries.toLocaleString('en')} entries: ${start}.`);
  }
  if (agent.length > 0) {
    lines.push(
      '',
      '| Of the agent | Measured | Wanted | SPIRE 1.15.3 |',
      '|---|---|---|---|',
      ...agent.map(agentRowOf),
    );
  }
  return `${lines.join('\n')}\n`;
}

function rowOf({ name, unit, cpuMs, perSecond, latencyMs, stallMs, spire }: Figures): string {
  const cells = [
    name,
    `${number(cpuMs.least)} ms per ${unit}`,
    `${number(cpuMs.median)} ms`,
    Math.round(perSecond).toLocaleString('en'),
    `${number(latencyMs.p50)} ms`,
    `${number(latencyMs.p99)} ms`,
    `${number(stallMs)} ms`,
    spire ?? '',
  ];
  return `| ${cells.join(' | ')} |`;
}

function agentRowOf({ name, parts, wanted, spire }: AgentFigures): string {
  const measured = parts.map(({ what, value, unit }) => `${what} ${unit === '' ? value : `${number(value)} ${unit}`}`);
  return `| ${[name.replace('agent: ', ''), measured.join(', '), wanted, spire ?? ''].join(' | ')} |`;
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(value >= 10 ? 3 : 2);
}
