// Wraps a cloud client so that each of its errors leaves as one of our failures: one place for both clouds.
import { ApplicationFailure } from '@temporalio/common';
import type { CloudClient } from '../cloud.ts';
import type { FailureType } from '../failures.ts';
import { failure } from '../failures.ts';

export interface ErrorTable {
  readonly cloud: string;
  /** The cloud's own code of an error, such as `InvalidGroup.NotFound` or `404`; empty where there is none. */
  readonly codeOf: (cause: unknown) => string;
  /** What is not in the table is worth a retry. */
  readonly types: Readonly<Record<string, FailureType>>;
}

export function translated(client: CloudClient, table: ErrorTable): CloudClient {
  const methods = Object.entries(client as unknown as Record<string, (input: unknown) => Promise<unknown>>);
  const wrapped = methods.map(([name, method]) => [
    name,
    async (input: unknown) => {
      try {
        return await method(input);
      } catch (cause) {
        if (cause instanceof ApplicationFailure) throw cause;
        const code = table.codeOf(cause);
        const reason = cause instanceof Error ? cause.message : String(cause);
        // The cause itself stays here: an SDK's error carries the request, headers with credentials among it.
        throw failure(table.types[code] ?? 'Unavailable', `${table.cloud} ${name}: ${code}: ${reason}`);
      }
    },
  ]);
  return Object.fromEntries(wrapped) as CloudClient;
}
