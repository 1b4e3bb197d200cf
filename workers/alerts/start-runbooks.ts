// From an alert to its runbook: the alert's annotation names it, its labels say what it is about, its fingerprint is in the workflow's id. One that fires
// again joins the run that is under way; one that is over is told to it.
import type { Client } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/client';
import { runbookNames } from '../../activities/runbooks/check-runbook.ts';
import type { AlertNotice } from '../../activities/runbooks/runbook.ts';
import { workflowId } from '../../workflows/lib/workflow-ids.ts';
import type { FiredAlert } from './payload.ts';

export interface StartRunbooksOptions {
  readonly client: Pick<Client, 'workflow'>;
  readonly trustDomain: string;
  /** `spec` or `topology`, and a `policy` where one is wanted: what every runbook is given. */
  readonly request: object;
}

/** What became of an alert, for the log and for whoever posted it. */
export interface Handled {
  readonly alert: string;
  readonly fingerprint: string;
  readonly outcome: 'started' | 'told' | 'over' | 'left alone';
  readonly workflowId?: string;
  /** Why it was left alone. */
  readonly why?: string;
}

const alertSignal = 'alert';
/** What a person is to do without us. */
const noRunbook = 'none';

/** Throws where Temporal cannot be asked: Alertmanager sends it again. */
export async function startRunbook(alert: FiredAlert, options: StartRunbooksOptions): Promise<Handled> {
  const { client, trustDomain, request } = options;
  const { status, labels, annotations, startsAt, fingerprint } = alert;
  const name = labels['alertname'] ?? '';
  const told = { alert: name, fingerprint };
  const leave = (why: string): Handled => ({ ...told, outcome: 'left alone', why });
  const runbook = annotations['runbook'];
  if (runbook === undefined || runbook === noRunbook) return leave('it names no runbook');
  if (!runbookNames.includes(runbook)) return leave(`no runbook has the name ${JSON.stringify(runbook)}`);
  const of = labels['trust_domain'];
  if (of !== undefined && of !== trustDomain) return leave(`it is about trust domain ${JSON.stringify(of)}`);
  const { subject, tier } = { subject: subjectOf(labels), tier: labels['tier'] };
  const id = workflowId(runbook, trustDomain, `${name}-${fingerprint}`);
  const notice: AlertNotice = { status, name, fingerprint, startsAt, labels, summary: annotations['summary'] ?? '' };
  if (status === 'resolved') return { ...told, ...(await tellResolved(client, id, notice)) };
  await client.workflow.signalWithStart(runbook, {
    workflowId: id,
    taskQueue: 'control',
    args: [
      {
        ...request,
        subject,
        ...(tier === undefined ? {} : { tier }),
        alert: notice,
        requester: 'alertmanager',
        reason: notice.summary,
      },
    ],
    signal: alertSignal,
    signalArgs: [notice],
  });
  return { ...told, outcome: 'started', workflowId: id };
}

/** An agent, a server, or a whole tier. */
function subjectOf(labels: FiredAlert['labels']): string {
  return labels['agent_id'] ?? labels['server'] ?? labels['tier'] ?? '';
}

/** A runbook that has ended by itself needs no telling. */
async function tellResolved(
  client: StartRunbooksOptions['client'],
  id: string,
  notice: AlertNotice,
): Promise<Pick<Handled, 'outcome' | 'workflowId'>> {
  try {
    await client.workflow.getHandle(id).signal(alertSignal, notice);
    return { outcome: 'told', workflowId: id };
  } catch (cause) {
    if (cause instanceof WorkflowNotFoundError) return { outcome: 'over', workflowId: id };
    throw cause;
  }
}
