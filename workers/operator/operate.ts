// `espalier operator`: the operator as a process.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Client } from '@temporalio/client';
import { pino } from 'pino';
import { createKubernetesConnection } from '../../activities/clients/kubernetes/connection.ts';
import { openHealth } from './health.ts';
import { runOperator } from './operator.ts';
import { createRuns } from './runs.ts';

export interface OperateOptions {
  readonly client: Pick<Client, 'workflow' | 'withDeadline'>;
  /** The pod's own service account where there is none. */
  readonly kubeconfig: string | undefined;
  readonly namespace: string | undefined;
  readonly leaseNamespace: string;
  /** Where `/live` and `/ready` answer; nowhere where nothing is said. */
  readonly health: string | undefined;
  readonly signal: AbortSignal;
}

export async function operate({ client, kubeconfig, health, ...options }: OperateOptions): Promise<void> {
  const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });
  const answered = health === undefined ? undefined : await openHealth(health, Date.now);
  try {
    await runOperator({
      ...options,
      connection: createKubernetesConnection({ kubeconfig }),
      runs: createRuns(client),
      identity: `${hostname()}_${randomUUID()}`,
      clock: Date.now,
      log,
      ...(answered === undefined ? {} : { onAnswer: answered.beat }),
    });
  } finally {
    await answered?.close();
  }
}
