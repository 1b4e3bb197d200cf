// Whether Prometheus sees an alert: its own series `ALERTS`, which is there from when the rule's expression holds.
import { z } from 'zod';
import { failure, reasonOf } from '../failures.ts';
import type { AlertSeen } from './drill.ts';

const answerSchema = z.object({
  status: z.literal('success'),
  data: z.object({ result: z.array(z.object({ metric: z.record(z.string(), z.string()) })) }),
});
const patienceMs = 5_000;

export interface AskedAlert {
  readonly prometheus: string;
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
}

export async function askAlert({ prometheus, alert, labels }: AskedAlert): Promise<AlertSeen> {
  const matchers = Object.entries({ alertname: alert, ...labels }).map(([name, value]) => `${name}=${JSON.stringify(value)}`); // prettier-ignore
  const url = new URL('api/v1/query', prometheus.endsWith('/') ? prometheus : `${prometheus}/`);
  url.searchParams.set('query', `ALERTS{${matchers.join(',')}}`);
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(patienceMs) });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    const { data } = answerSchema.parse(await response.json());
    const states = data.result.map(({ metric }) => metric['alertstate']);
    const state = (['firing', 'pending'] as const).find((one) => states.includes(one)) ?? 'inactive';
    return { state };
  } catch (cause) {
    throw failure('Unavailable', `Prometheus at ${prometheus}: ${reasonOf(cause)}`);
  }
}
