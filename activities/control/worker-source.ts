// The worker's own X.509 source: opened when first needed, kept while its agent lives, opened anew when it belongs to another trust domain.
import { createWorkloadApi } from '../../runtime/workloadapi/workload-api.ts';
import { createX509Source } from '../../runtime/workloadapi/x509-source.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import { failure } from '../failures.ts';

export interface WorkerSource {
  /** The worker's SVID of that trust domain; a failure that may be retried while there is none. */
  of(trustDomain: string): Promise<X509Source>;
  close(): void;
}

/** One Workload API call answers in milliseconds where the agent is up and the entry is there. */
const patienceMs = 3_000;

export function createWorkerSource(socketPath: string): WorkerSource {
  let open: X509Source | undefined;

  async function openSource(): Promise<X509Source> {
    const waiting = new AbortController();
    const timer = setTimeout(() => waiting.abort(), patienceMs);
    try {
      return await createX509Source({ api: createWorkloadApi({ socketPath }), signal: waiting.signal });
    } catch (cause) {
      throw failure(
        'NotReady',
        `the worker has no SVID yet: ${cause instanceof Error ? cause.message : String(cause)}`,
      );
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    async of(trustDomain) {
      if (
        open !== undefined &&
        (open.svid().id.trustDomain.name !== trustDomain || open.svid().expiresAt <= Date.now())
      ) {
        open.close();
        open = undefined;
      }
      open ??= await openSource();
      const { id } = open.svid();
      if (id.trustDomain.name === trustDomain) return open;
      throw failure('NotReady', `the worker's agent still serves ${id.trustDomain.name}, want ${trustDomain}`);
    },
    close() {
      open?.close();
      open = undefined;
    },
  };
}
