// The bench's figures as Markdown and as JSON.
import { cpus } from 'node:os';
import type { AgentPart } from './agent-cases.ts';
import type { LargeStart } from './large-start.ts';
import type { Figures } from './measure.ts';
import type { RegistrationClusterFigures } from './registration-cluster.ts';
import type { RegistrationFigures } from './registration.ts';
import type { RollOutFigures } from './rollouts/rollout-under-load.ts';

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
  readonly registration?: RegistrationFigures;
  readonly registrationCluster?: RegistrationClusterFigures;
  readonly rollOut?: RollOutFigures;
}

export function markdownOf({
  date,
  machine,
  figures,
  largeStart,
  agent,
  registration,
  registrationCluster,
  rollOut,
}: Report): string {
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
  if (registration !== undefined) lines.push('', registrationLine(registration));
  if (registrationCluster !== undefined) lines.push('', registrationClusterLine(registrationCluster));
  if (rollOut !== undefined) lines.push('', rollOutLine(rollOut));
  return `${lines.join('\n')}\n`;
}

function registrationLine({ pods, startSeconds, changeMs, relistMs, rssMb }: RegistrationFigures): string {
  const change = `a change of one is there after ${number(changeMs.median)} ms, ${number(changeMs.longest)} ms at most`;
  const relist = `a round that lists everything anew takes ${number(relistMs)} ms`;
  return `${pods.toLocaleString('en')} pods are registered after ${number(startSeconds)} s; ${change}; ${relist}; ${rssMb.toFixed(0)} MiB resident.`;
}

function registrationClusterLine({ pods, startSeconds, changeMs }: RegistrationClusterFigures): string {
  const change = `a change of one is there after ${number(changeMs.median)} ms, ${number(changeMs.longest)} ms at most`;
  return `${pods.toLocaleString('en')} pods of a real API server are registered ${number(startSeconds.best)} s after the process was started, ${number(startSeconds.longest)} s at most; ${change}.`;
}

function rollOutLine(figures: RollOutFigures): string {
  const { nodes, attestingSeconds, rollOutSeconds, waves, events, runs, serverCpuSeconds } = figures;
  const slowest = Math.max(...waves.map(({ seconds }) => seconds));
  return [
    `${nodes.toLocaleString('en')} nodes, each with its own instance, document, key and attestation: all attested after ${number(attestingSeconds)} s;`,
    `another agent on all of them in ${number(rollOutSeconds)} s, ${waves.length} waves, the slowest ${number(slowest)} s,`,
    `${((rollOutSeconds / nodes) * 1000).toFixed(0)} ms and ${(events / nodes).toFixed(2)} events a node (${events} in ${runs} run${runs === 1 ? '' : 's'});`,
    `the server used ${number(serverCpuSeconds)} s of CPU and ${figures.serverRssMb.toFixed(0)} MiB, the process that played the nodes ${figures.playerRssMb.toFixed(0)} MiB.`,
  ].join(' ');
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
