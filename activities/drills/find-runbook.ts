// The runbook that an alert has started, as Temporal lists it: its id has the alert's fingerprint in it, which nobody here knows.
import type { Client } from '@temporalio/client';
import { z } from 'zod';
import type { RunbookSeen } from './drill.ts';

export interface SoughtRunbook {
  readonly trustDomain: string;
  readonly runbook: string;
  /** RFC 3339. */
  readonly since: string;
}

const reportSchema = z.object({ outcome: z.string() });

export async function findRunbook(
  client: Pick<Client, 'workflow'>,
  { trustDomain, runbook, since }: SoughtRunbook,
): Promise<RunbookSeen | undefined> {
  const query = `WorkflowType = '${runbook}' AND StartTime >= '${since}'`;
  for await (const { workflowId, runId, startTime, status } of client.workflow.list({ query })) {
    if (workflowId.split('/')[1] !== trustDomain) continue;
    const seen = { workflowId, startedAt: startTime.toISOString() };
    if (status.name === 'RUNNING') return seen;
    if (status.name !== 'COMPLETED') return { ...seen, outcome: status.name.toLowerCase() };
    const report: unknown = await client.workflow.getHandle(workflowId, runId).result();
    const parsed = reportSchema.safeParse(report);
    return { ...seen, outcome: parsed.success ? parsed.data.outcome : 'completed' };
  }
  return undefined;
}
