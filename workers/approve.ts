// `espalier approve`: shows the plan that a change of trust waits with, signs it with this person's SVID, and says so to the change.
import type { Client } from '@temporalio/client';
import { signApproval } from '../activities/trust/approval.ts';
import type { Approval } from '../activities/trust/rotation.ts';
import { createWorkloadApi, createX509Source } from '../runtime/workloadapi/index.ts';
import { workflowId } from '../workflows/lib/workflow-ids.ts';
import type { Progress } from '../workflows/lib/progress.ts';
import type { Output } from './up/progress-view.ts';

export interface ApproveOptions {
  readonly client: Pick<Client, 'workflow'>;
  readonly trustDomain: string;
  readonly gate: 'activation' | 'revocation';
  readonly reason: string;
  /** What the approver has seen; anything else is refused. Absent: what is shown now. */
  readonly planDigest: string | undefined;
  /** Without a signature, under policy `named`. Absent: the SVID of the Workload API signs. */
  readonly as: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly output: Output;
}

/** As long as an agent that is there takes to answer. */
const svidPatienceMs = 10_000;

export async function approve(options: ApproveOptions): Promise<void> {
  const { client, trustDomain, gate, reason, as, env, output } = options;
  const change = client.workflow.getHandle(workflowId('trustChange', trustDomain));
  const { change: plan } = await change.query<Progress>('progress');
  if (plan?.planDigest === undefined) throw new Error(`the change of ${trustDomain} has no plan to approve yet`);
  const { operation, tier, planDigest, waitingFor = 'nothing' } = plan;
  output.write(`${operation} of tier ${tier} in ${trustDomain}, plan ${planDigest}, waiting for ${waitingFor}\n`);
  const approval = { planDigest: options.planDigest ?? planDigest, gate, reason };
  const given = as === undefined ? await signed(approval, env) : { ...approval, approver: as };
  output.write(`${await change.executeUpdate<string, [Approval]>('approve', { args: [given] })}\n`);
}

async function signed(
  approval: Omit<Approval, 'approver' | 'signature'>,
  env: ApproveOptions['env'],
): Promise<Approval> {
  const api = createWorkloadApi({ env });
  try {
    const source = await createX509Source({ api, signal: AbortSignal.timeout(svidPatienceMs) });
    const { id, chain, privateKey } = source.svid();
    source.close();
    const named = { ...approval, approver: id.toString() };
    const value = Buffer.from(signApproval(named, privateKey)).toString('base64');
    const certificates = chain.map((der) => Buffer.from(der).toString('base64'));
    return { ...named, signature: { certificates, value } };
  } finally {
    api.close();
  }
}
