// The alert rules: each names a runbook that there is, reads only series that our programs show, and says which labels its runbook needs.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { runbookNames } from '../../activities/runbooks/check-runbook.ts';
import { quotedIn, rowsOf, sectionOf } from '../support/markdown.ts';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly runbook: string; readonly summary: string };
}

const root = join(import.meta.dirname, '../..');
const file = parse(readFileSync(join(root, 'deploy/prometheus/alerts.yaml'), 'utf8')) as {
  groups: { rules: Rule[] }[];
};
const rules = file.groups.flatMap((group) => group.rules);
const readme = readFileSync(join(root, 'README.md'), 'utf8');

describe('an alert rule', () => {
  it.each(rules.map((rule) => [rule.alert, rule] as const))(
    '%s names its runbook and reads what is there',
    (_name, rule) => {
      expect(['none', ...runbookNames]).toContain(rule.annotations.runbook);
      expect(rule.annotations.summary).not.toBe('');
      expect(['info', 'warning', 'critical']).toContain(rule.labels.severity);
      // The tests of the metrics hold these against what is scraped from a server and an agent.
      const shown = quotedIn(sectionOf(readme, 'Observability'));
      const read = rule.expr.match(/\bspire_(?:server|agent)_[a-z0-9_]+/g) ?? [];
      expect(read.filter((name) => !shown.includes(name))).toEqual([]);
    },
  );

  it('has one name each, and is the one that the table of runbooks has', () => {
    const names = rules.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
    for (const [runbook, alert] of rowsOf(sectionOf(readme, 'Runbooks'))) {
      const [name = ''] = quotedIn(runbook ?? '');
      if (!runbookNames.includes(name)) continue;
      for (const wanted of quotedIn(alert ?? ''))
        expect(rules.find((rule) => rule.alert === wanted)?.annotations.runbook, wanted).toBe(name);
    }
  });
});
