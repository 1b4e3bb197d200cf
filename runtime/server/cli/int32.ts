// Numbers that have 32 bits on the wire.
import { formatDuration } from '../../spiffe/duration.ts';
import { CommandError } from './server-command.ts';

const bound = 2 ** 31;

/** Refuses with Go's words, in which the number is shown as Go has it. */
export function checkInt32(what: string, value: number, shown = `int(${value})`): number {
  if (value >= -bound && value < bound) return value;
  throw new CommandError(`invalid value for ${what}: overflow converting ${shown} to int32`);
}

/** A lifetime as the API takes it: whole seconds, rounded up. Go shows them as the nanoseconds that they are to it. */
export function secondsOf(ttlMs: number): number {
  const seconds = Math.ceil(ttlMs / 1000);
  return checkInt32('TTL', seconds, `time.Duration(${formatDuration(seconds / 1e6)})`);
}
