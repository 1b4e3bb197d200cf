// Heartbeats while an activity runs: what is slow (a cloud, an SDK that is loaded for the first time, a busy machine) is not taken for a worker
// that died, and a worker that died is noticed within the heartbeat timeout.
import type { Context } from '@temporalio/activity';
import type { ActivityInterceptors } from '@temporalio/worker';

const intervalMs = 2_000;

export function keepAlive(context: Context): ActivityInterceptors {
  return {
    inbound: {
      async execute(input, next) {
        const timer = setInterval(() => context.heartbeat(), intervalMs);
        try {
          return await next(input);
        } finally {
          clearInterval(timer);
        }
      },
    },
  };
}
