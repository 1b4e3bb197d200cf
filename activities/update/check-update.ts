// Checks what an operator asks of an update, whole: every fault is reported, each with its place, before anything is looked at.
import { z } from 'zod';
import { specDigest } from '../spec/check-spec.ts';
import type { TrustDomainPlan } from '../plan.ts';
import { defined, invalid, signatureFaults, spiffeId } from '../trust/check-request.ts';
import type { UpdatePolicy, UpdateRequest } from './update.ts';

/** Who takes something away from a trust domain that works asks somebody first. */
const defaults: UpdatePolicy = { approvals: 'named', approvers: [] };

const requestSchema = z.strictObject({
  /** As the new `trust-domain.yaml` has it. */
  spec: z.unknown(),
  policy: z
    .strictObject({ approvals: z.enum(['none', 'named', 'signed']), approvers: z.array(spiffeId) })
    .partial()
    .default({}),
  dryRun: z.boolean().default(false),
  requester: z.string().default(''),
  reason: z.string().default(''),
});

/** Throws InvalidRequest with every fault. */
export async function checkUpdate(
  input: unknown,
  planOf: (spec: unknown) => Promise<TrustDomainPlan>,
): Promise<UpdateRequest> {
  const parsed = requestSchema.safeParse(input, { reportInput: true });
  if (!parsed.success) throw invalid(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`));
  const { spec, dryRun, requester, reason, policy: asked } = parsed.data;
  const policy = { ...defaults, ...defined(asked) };
  const faults = signatureFaults(policy, requester);
  if (faults.length > 0) throw invalid(faults);
  const plan = await planOf(spec);
  return { plan, specDigest: specDigest(plan.spec), policy, dryRun, requester, reason };
}
