// What `up` and the operator ask Temporal about a trust domain's runs: one that runs is attached to, and updates are found though lists lag behind.
import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import { describe, expect, it } from 'vitest';
import { parseTrustDomainSpec, specDigest } from '../../activities/spec/check-spec.ts';
import { describeRun, startRun, updatedTo } from '../../workers/domain-runs.ts';
import { spec as document } from '../support/specs.ts';

type Workflow = Client['workflow'];

const spec = parseTrustDomainSpec({ ...document, workloads: [] });
const { trustDomain } = spec;

interface Update {
  readonly closedAt?: number;
  readonly status?: string;
  readonly report?: { readonly outcome: string; readonly specDigest?: string };
  /** The list does not have it yet. */
  readonly isUnlisted?: boolean;
}

/** Updates of one trust domain, newest first. */
function temporalWith(updates: readonly Update[], broken?: Error): Workflow {
  const described = updates.map(({ closedAt, status = 'COMPLETED' }, index) => ({
    runId: String(index),
    status: { name: status },
    closeTime: closedAt === undefined ? undefined : new Date(closedAt),
  }));
  return {
    getHandle: (id: string, runId = '0') => ({
      async describe() {
        if (broken !== undefined) throw broken;
        const newest = described[0];
        if (newest === undefined || id !== `updateTrustDomain/${trustDomain}`)
          throw new WorkflowNotFoundError('none', id, undefined);
        return newest;
      },
      result: async () => updates[Number(runId)]?.report,
    }),
    async *list({ query }: { readonly query: string }) {
      expect(query).toBe(`WorkflowId = 'updateTrustDomain/${trustDomain}' AND ExecutionStatus = 'Completed'`);
      yield* described.filter(({ status }, at) => status.name === 'COMPLETED' && updates[at]?.isUnlisted !== true);
    },
  } as unknown as Workflow;
}

const updated = (digest: string): NonNullable<Update['report']> => ({ outcome: 'updated', specDigest: digest });
const dryRun = { outcome: 'dry run', specDigest: 'of a dry run' };

describe('what a trust domain was updated to', () => {
  const since = new Date(100);

  it.each<[string, readonly Update[], string | undefined]>([
    ['nothing where there was no update', [], undefined],
    [
      'what the newest says',
      [
        { closedAt: 300, report: updated('b') },
        { closedAt: 200, report: updated('a') },
      ],
      'b',
    ],
    ['what the newest says though no list has it', [{ closedAt: 300, report: updated('b'), isUnlisted: true }], 'b'],
    [
      'what the one before a dry run says',
      [
        { closedAt: 300, report: dryRun },
        { closedAt: 200, report: updated('a') },
      ],
      'a',
    ],
    ['what the one before one that runs says', [{ status: 'RUNNING' }, { closedAt: 200, report: updated('a') }], 'a'],
    [
      'what the one before one that failed says',
      [
        { status: 'FAILED', closedAt: 300 },
        { closedAt: 200, report: updated('a') },
      ],
      'a',
    ],
    [
      'nothing where only an earlier trust domain of its name was updated',
      [{ closedAt: 99, report: updated('a') }],
      undefined,
    ],
  ])('is %s', async (_what, updates, digest) => {
    expect(await updatedTo(temporalWith(updates), trustDomain, since)).toBe(digest);
  });
});

describe('a run', () => {
  it('is undefined where there is none, and what else Temporal refuses is thrown', async () => {
    expect(await describeRun(temporalWith([]), `updateTrustDomain/${trustDomain}`)).toBeUndefined();
    const broken = temporalWith([], new Error('unavailable'));
    await expect(describeRun(broken, `updateTrustDomain/${trustDomain}`)).rejects.toThrow('unavailable');
  });

  it('is started under the id of its trust domain, or attached to, with the digest of its specification in its memo', async () => {
    const started: unknown[] = [];
    const workflow = { start: async (...asked: unknown[]) => void started.push(asked) } as unknown as Workflow;
    await startRun(workflow, { type: 'verifyTrustDomain', spec, input: { spec }, memo: { claim: 'shop/main' } });
    expect(started).toMatchObject([
      [
        'verifyTrustDomain',
        {
          args: [{ spec }],
          taskQueue: 'control',
          workflowId: `verifyTrustDomain/${trustDomain}`,
          workflowIdConflictPolicy: 'USE_EXISTING',
          memo: { specDigest: specDigest(spec), claim: 'shop/main' },
        },
      ],
    ]);
  });
});
