// The end of the drill's execution, however it comes: nobody tells of a termination but Temporal, so it is asked.
import type { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/client';
import { failure } from '../failures.ts';
import type { Execution } from './drill.ts';

const askEveryMs = 1_000;

/** By asking again and again. */
export async function awaitEnd(
  { client, heartbeat, sleep }: Pick<Context, 'client' | 'heartbeat' | 'sleep'>,
  execution: Execution,
): Promise<string> {
  for (;;) {
    const end = await endOf(client, execution);
    if (end !== undefined) return end;
    heartbeat('it runs');
    await sleep(askEveryMs);
  }
}

/** Breaks something for the drill that asks for it: one that was terminated meanwhile has been mended already, and is mended here again. */
export async function breakForDrill<T>(
  { client, info }: Pick<Context, 'client' | 'info'>,
  act: () => Promise<T>,
  mend: () => Promise<unknown>,
): Promise<T> {
  const result = await act();
  const { workflowExecution } = info;
  if (workflowExecution === undefined) throw failure('InvalidRequest', 'a drill breaks things, and no workflow asks for this'); // prettier-ignore
  if ((await endOf(client, workflowExecution)) !== undefined) await mend();
  return result;
}

/** Undefined while it runs. */
async function endOf(client: Context['client'], { workflowId, runId }: Execution): Promise<string | undefined> {
  try {
    const { name } = (await client.workflow.getHandle(workflowId, runId).describe()).status;
    return name === 'RUNNING' || name === 'PAUSED' ? undefined : name;
  } catch (cause) {
    if (cause instanceof WorkflowNotFoundError) return 'DELETED';
    throw cause;
  }
}
