// Part of the workflows' bundle in these matrices: what is tried again after a minute is tried again at once, and a worker that died is missed after two
// seconds. How often something is tried stays as it is.
import type { WorkflowInterceptorsFactory } from '@temporalio/workflow';

const intervalMs = 100;
const heartbeatMs = 2_000;

export const interceptors: WorkflowInterceptorsFactory = () => ({
  outbound: [
    {
      scheduleActivity(input, next) {
        const { options } = input;
        return next({
          ...input,
          options: {
            ...options,
            retry: { ...options.retry, initialInterval: intervalMs, maximumInterval: intervalMs },
            ...('heartbeatTimeout' in options ? { heartbeatTimeout: heartbeatMs } : {}),
          },
        });
      },
    },
  ],
});
