// The deadline of a call as its caller writes it: `grpc-timeout`, up to eight digits and a unit.
import { internal } from './status.ts';

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
/** Node's timers go no further. */
const longestMs = 2 ** 31 - 1;

/** Milliseconds from now, one at least. */
export function parseTimeout(text: string): number {
  const found = /^(\d{1,8})([HMSmun])$/.exec(text);
  if (found === null) throw internal(`grpc-timeout is malformed: "${text}"`);
  const [, digits = '', unit = ''] = found;
  return Math.min(Math.max(1, Math.ceil(Number(digits) * (unitMs[unit] ?? 0))), longestMs);
}
