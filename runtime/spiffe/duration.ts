// Durations as Go writes them (`1h30m`, `300ms`), which is how SPIRE's configuration and flags spell time. Values are milliseconds.
import { SpiffeError } from './errors.ts';

const millisecondsOf = new Map([
  ['ns', 1e-6],
  ['us', 1e-3],
  ['µs', 1e-3], // U+00B5, micro sign
  ['μs', 1e-3], // U+03BC, Greek mu
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

/** Go counts nanoseconds in 64 bits; what does not fit there is no duration for a SPIRE peer either. */
const maxMilliseconds = 2 ** 63 / 1e6;

/** Refuses negative durations only where their size does not fit: whether a negative one makes sense is the caller's rule. */
export function parseDuration(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const unsigned = /^[+-]/.test(text) ? text.slice(1) : text;
  if (unsigned === '0') return 0;
  if (unsigned === '') throw invalid(text);
  let total = 0;
  for (let rest = unsigned; rest !== '';) {
    const [taken, number, unit] = /^(\d+\.?\d*|\.\d+)([^.\d]*)/.exec(rest) ?? [];
    if (taken === undefined || number === undefined || unit === undefined) throw invalid(text);
    if (unit === '') throw refuse(`missing unit in duration ${JSON.stringify(text)}`);
    const milliseconds = millisecondsOf.get(unit);
    if (milliseconds === undefined)
      throw refuse(`unknown unit ${JSON.stringify(unit)} in duration ${JSON.stringify(text)}`);
    total += multiply(number, milliseconds);
    rest = rest.slice(taken.length);
  }
  if (total >= maxMilliseconds) throw invalid(text);
  return total === 0 ? 0 : sign * total;
}

/** Go's form: `1h0m0s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) throw refuse(`not a duration: ${ms}`);
  const whole = Math.trunc(Math.abs(ms));
  const nanoseconds = BigInt(whole) * 1_000_000n + BigInt(Math.round((Math.abs(ms) - whole) * 1e6));
  if (nanoseconds === 0n) return '0s';
  return (ms < 0 ? '-' : '') + formatNanoseconds(nanoseconds);
}

function formatNanoseconds(ns: bigint): string {
  if (ns < 1_000n) return `${ns.toString()}ns`;
  if (ns < 1_000_000n) return `${decimal(ns, 1_000n)}µs`;
  if (ns < 1_000_000_000n) return `${decimal(ns, 1_000_000n)}ms`;
  const hours = ns / 3_600_000_000_000n;
  const minutes = (ns / 60_000_000_000n) % 60n;
  const seconds = `${decimal(ns % 60_000_000_000n, 1_000_000_000n)}s`;
  if (hours > 0n) return `${hours.toString()}h${minutes.toString()}m${seconds}`;
  return minutes > 0n ? `${minutes.toString()}m${seconds}` : seconds;
}

/** `value / unit` with as many decimals as it has. */
function decimal(value: bigint, unit: bigint): string {
  const digits = unit.toString().length - 1;
  const fraction = (value % unit).toString().padStart(digits, '0').replace(/0+$/, '');
  const whole = (value / unit).toString();
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** Whole and fraction apart, the fraction to the nanosecond: `1.001 * 1000` is not 1001 in floating point. */
function multiply(number: string, milliseconds: number): number {
  const [whole = '', fraction = ''] = number.split('.');
  return Number(whole) * milliseconds + Math.round(Number(`0.${fraction}`) * milliseconds * 1e6) / 1e6;
}

function invalid(text: string): SpiffeError {
  return refuse(`invalid duration ${JSON.stringify(text)}`);
}

function refuse(message: string): SpiffeError {
  return new SpiffeError('DURATION', message);
}
