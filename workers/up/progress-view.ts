// Shows a run's phases with elapsed times: a list that is redrawn on a terminal, a line for each change elsewhere.
import type { PhaseProgress, Progress } from '../../workflows/lib/progress.ts';

export interface Output {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface ProgressView {
  show(progress: Progress): void;
}

const signs = { waiting: '·', running: '…', done: '✓', skipped: '-', failed: '✗' } as const;

export function createProgressView(output: Output, clock: () => number): ProgressView {
  return output.isTTY === true ? listView(output, clock) : lineView(output, clock);
}

function listView(output: Output, clock: () => number): ProgressView {
  let drawn = 0;
  return {
    show({ phases, state }) {
      const lines = phases.map((phase) => describe(phase, clock()));
      if (state === 'undoing') lines.push('  ↩ undoing what was begun');
      const rewind = drawn === 0 ? '' : `\x1b[${drawn}A`;
      output.write(rewind + lines.map((line) => `\x1b[2K${line}\n`).join(''));
      drawn = Math.max(drawn, lines.length);
    },
  };
}

function lineView(output: Output, clock: () => number): ProgressView {
  const shown = new Map<string, string>();
  return {
    show({ phases, state }) {
      if (state === 'undoing' && !shown.has('undoing')) {
        shown.set('undoing', state);
        output.write('  ↩ undoing what was begun\n');
      }
      for (const phase of phases) {
        if (phase.state === 'waiting' || shown.get(phase.name) === phase.state) continue;
        shown.set(phase.name, phase.state);
        output.write(`${describe(phase, clock())}\n`);
      }
    },
  };
}

function describe({ name, state, startedAt, endedAt, failure }: PhaseProgress, now: number): string {
  const elapsed =
    startedAt === undefined || state === 'waiting' ? '' : `${(((endedAt ?? now) - startedAt) / 1000).toFixed(1)} s`;
  return `  ${signs[state]} ${name.padEnd(20)} ${state.padEnd(8)} ${elapsed.padStart(8)}${failure === undefined ? '' : `  ${failure}`}`;
}
