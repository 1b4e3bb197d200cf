// What Alertmanager posts (webhook payload, version 4), as far as it is used: checked whole, every fault with its place.
import { z } from 'zod';

const alertSchema = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: z.record(z.string(), z.string()),
  annotations: z.record(z.string(), z.string()).default({}),
  startsAt: z.iso.datetime({ offset: true }),
  fingerprint: z.string().regex(/^[0-9a-f]{16}$/, 'must be a fingerprint of 16 hexadecimal digits'),
});

const payloadSchema = z.object({
  version: z.literal('4'),
  alerts: z.array(alertSchema).max(1_000),
});

export type FiredAlert = z.output<typeof alertSchema>;

/** Throws with every fault. */
export function parsePayload(text: string): readonly FiredAlert[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`the body is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const parsed = payloadSchema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data.alerts;
  const faults = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`);
  throw new Error(`the payload has ${faults.length} fault(s): ${faults.join('; ')}`);
}
