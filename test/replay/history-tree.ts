// The history of a workflow and of every child that it started, as a Temporal server keeps them.
import type { WorkflowClient } from '@temporalio/client';
import { encodeHistory, workflowTypeOf } from './history-json.ts';
import type { History } from './history-json.ts';

export interface FetchedHistory {
  readonly workflowType: string;
  readonly workflowId: string;
  readonly history: History;
}

interface Execution {
  readonly workflowId: string;
  readonly runId?: string;
}

/** The workflow itself first. */
export async function fetchHistoryTree(client: WorkflowClient, execution: Execution): Promise<FetchedHistory[]> {
  const { workflowId, runId } = execution;
  const history = encodeHistory(await client.getHandle(workflowId, runId).fetchHistory());
  const children = await Promise.all(childrenOf(history).map((child) => fetchHistoryTree(client, child)));
  return [{ workflowType: workflowTypeOf(history), workflowId, history }, ...children.flat()];
}

function childrenOf({ events }: History): Execution[] {
  return events.flatMap((event) => {
    const attributes = event['childWorkflowExecutionStartedEventAttributes'];
    return attributes === undefined ? [] : [(attributes as { workflowExecution: Execution }).workflowExecution];
  });
}
