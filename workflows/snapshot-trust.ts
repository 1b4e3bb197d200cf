// Keeps what every tier has registered and signs with, for the runbooks that say what is missing. Where much is gone since the last time, nothing is kept:
// the runbook is started that restores it.
import { startChild } from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { EntryDifference, TrustSnapshot } from '../activities/runbooks/runbook.ts';
import { onRunbook } from './lib/calls.ts';
import { nameTrustDomain } from './lib/progress.ts';
import { findTopologyAsItIs } from './lib/topology.ts';
import { workflowId } from './lib/workflow-ids.ts';

export interface SnapshotReport {
  readonly trustDomain: string;
  readonly kept: readonly TrustSnapshot[];
  /** Tiers of which nothing was kept, and why. */
  readonly notKept: readonly string[];
}

/** A few entries come and go; more than these at once are a loss until somebody says otherwise. */
const drop = { share: 0.1, count: 5 };

export interface SnapshotInput {
  /** As a rotation takes them. */
  readonly spec?: unknown;
  readonly topology?: unknown;
  /** What is gone was taken away on purpose. */
  readonly acceptLoss?: boolean;
}

export async function snapshotTrust({ acceptLoss = false, ...request }: SnapshotInput): Promise<SnapshotReport> {
  const { checkRunbook, compareEntries, snapshotTrust: keep } = onRunbook();
  const { plan, topology: given, trustDomain } = await checkRunbook({ runbook: 'snapshotTrust', request });
  nameTrustDomain(trustDomain);
  const topology =
    given ?? (plan === undefined ? { trustDomain, tiers: [] } : (await findTopologyAsItIs(plan)).topology);
  const [kept, notKept] = [[] as TrustSnapshot[], [] as string[]];
  for (const tier of topology.tiers) {
    const difference = await compareEntries({ trustDomain, tier });
    if (!acceptLoss && isDrop(difference)) {
      notKept.push(
        `tier ${tier.name}: ${difference.missing} of ${difference.before} entries are gone since ${difference.takenAt ?? ''}`,
      );
      await startRunbook(trustDomain, tier.name, topology);
    } else kept.push(...(await keep({ topology: { trustDomain, tiers: [tier] } })));
  }
  return { trustDomain, kept, notKept };
}

function isDrop({ before, missing }: EntryDifference): boolean {
  return missing >= drop.count && missing > before * drop.share;
}

/** It waits for a person, who may take longer than until the next snapshot. */
async function startRunbook(trustDomain: string, tier: string, topology: object): Promise<void> {
  try {
    await startChild('registrationEntryDrop', {
      args: [{ topology, subject: tier, reason: 'the snapshot found entries missing' }],
      workflowId: workflowId('registrationEntryDrop', trustDomain, tier),
      parentClosePolicy: 'ABANDON',
    });
  } catch (cause) {
    if (!(cause instanceof WorkflowExecutionAlreadyStartedError)) throw cause;
  }
}
