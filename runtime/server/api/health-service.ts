// grpc.health.v1.Health, on the Unix socket only: one status for the whole server, the same that /ready tells.
import type { HealthCheckResponse, HealthService } from '../../../proto/gen/grpc/health/v1/health.ts';
import { HealthCheckResponse_ServingStatus as ServingStatus } from '../../../proto/gen/grpc/health/v1/health.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Handlers } from '../../rpc/service.ts';
import { invalidArgument } from '../../rpc/status.ts';
import type { HealthChecker } from '../health/health-checker.ts';

const watchIntervalMs = 1000;

export function createHealthService(checker: HealthChecker): Handlers<typeof HealthService> {
  const present = async (): Promise<HealthCheckResponse> => {
    const { ready } = await checker.check();
    return { status: ready ? ServingStatus.SERVING : ServingStatus.NOT_SERVING };
  };

  return {
    async check({ service }) {
      if (service !== '') throw invalidArgument('per-service health is not supported');
      return present();
    },

    async list() {
      return { statuses: { '': await present() } };
    },

    async *watch({ service }, { signal }) {
      if (service !== '') {
        yield { status: ServingStatus.SERVICE_UNKNOWN };
        return;
      }
      let last: HealthCheckResponse['status'] | undefined;
      for (;;) {
        const now = await present();
        if (now.status !== last) yield now;
        last = now.status;
        await sleep(watchIntervalMs, undefined, { signal });
      }
    },
  };
}
