// What an operator sees of a run: on a terminal a list that is redrawn, elsewhere a line for each change.
import { describe, expect, it } from 'vitest';
import { createProgressView } from '../../../workers/up/progress-view.ts';
import type { PhaseProgress, Progress } from '../../../workflows/lib/progress.ts';

const start = Date.parse('2026-01-01T00:00:00Z');
const phases: readonly PhaseProgress[] = [
  { name: 'plan', state: 'done', startedAt: start, endedAt: start + 200 },
  { name: 'infrastructure', state: 'running', startedAt: start + 250 },
  { name: 'overlay', state: 'skipped' },
  { name: 'upstream', state: 'waiting' },
];
const progress = (changed: Partial<Progress> = {}): Progress => ({
  trustDomain: 'example.org',
  state: 'running',
  phases,
  ...changed,
});
const failed = (failure: string) => [
  ...phases.slice(0, 1),
  { name: 'infrastructure', state: 'failed', startedAt: start + 250, endedAt: start + 1250, failure } as const,
];

function createView({ isTTY }: { isTTY?: boolean }) {
  const written: string[] = [];
  let now = start + 1000;
  const output = { ...(isTTY === undefined ? {} : { isTTY }), write: (text: string) => written.push(text) };
  const view = createProgressView(output, () => now);
  return { show: (shown: Progress) => view.show(shown), written, at: (ms: number) => void (now = start + ms) };
}

describe('away from a terminal', () => {
  it('writes a line for each phase that has begun', () => {
    const { show, written } = createView({});
    show(progress());
    expect(written).toEqual([
      '  ✓ plan                 done        0.2 s\n',
      '  … infrastructure       running     0.8 s\n',
      '  - overlay              skipped          \n',
    ]);
  });

  it('says nothing twice', () => {
    const { show, written, at } = createView({ isTTY: false });
    show(progress());
    const before = written.length;
    at(5000);
    show(progress());
    expect(written).toHaveLength(before);
  });

  it('says why a phase failed, and once that it is being undone', () => {
    const { show, written } = createView({});
    show(progress());
    written.length = 0;
    show(progress({ state: 'undoing', phases: failed('aws: no such image') }));
    show(progress({ state: 'undoing', phases: failed('aws: no such image') }));
    expect(written).toEqual([
      '  ↩ undoing what was begun\n',
      '  ✗ infrastructure       failed      1.0 s  aws: no such image\n',
    ]);
  });

  it('moves no cursor', () => {
    const { show, written } = createView({});
    show(progress());
    show(progress({ phases: failed('x') }));
    expect(written.join('')).not.toContain('\x1b');
  });
});

describe('on a terminal', () => {
  it('draws every phase, then draws over it with the time that has passed', () => {
    const { show, written, at } = createView({ isTTY: true });
    show(progress());
    at(3250);
    show(progress());
    const list = (seconds: string) =>
      [
        '\x1b[2K  ✓ plan                 done        0.2 s\n',
        `\x1b[2K  … infrastructure       running  ${seconds.padStart(8)}\n`,
        '\x1b[2K  - overlay              skipped          \n',
        '\x1b[2K  · upstream             waiting          \n',
      ].join('');
    expect(written).toEqual([list('0.8 s'), `\x1b[4A${list('3.0 s')}`]);
  });

  it('goes back by as many lines as it drew when the list grows', () => {
    const { show, written } = createView({ isTTY: true });
    show(progress({ phases: phases.slice(0, 1) }));
    show(progress());
    show(progress({ state: 'undoing' }));
    show(progress());
    expect(written.map((text) => /^\x1b\[(\d+)A/.exec(text)?.[1])).toEqual([undefined, '1', '4', '5']);
  });
});
