// Whether a workflow waits for somebody to say something, told by its history and not by a time in which nothing happened.
import type { WorkflowHandle } from '@temporalio/client';
import { eventually } from './eventually.ts';

/** Resolves once its last timer has fired and nothing was begun since: what a task begins stands right behind that task. */
export async function standsStill(handle: WorkflowHandle): Promise<void> {
  await eventually(async () => {
    const events = (await handle.fetchHistory()).events ?? [];
    const timer = events.findLast((event) => event.timerStartedEventAttributes ?? event.timerFiredEventAttributes);
    if (!timer?.timerFiredEventAttributes) throw new Error('its last timer has not fired');
    if (!events.at(-1)?.workflowTaskCompletedEventAttributes) throw new Error('it has begun something, or is to');
  });
}
