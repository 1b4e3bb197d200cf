// Long work of one caller in small pieces: between them others get their turn. A batch of hundreds of signatures would hold everybody up otherwise.
import { setImmediate } from 'node:timers/promises';

const longestTurnMs = 10;

/** To be called between the items of a batch: waits a turn when this one has become long. */
export function createPause(): () => Promise<void> {
  let began = performance.now();
  return async () => {
    if (performance.now() - began < longestTurnMs) return;
    await setImmediate();
    began = performance.now();
  };
}
