// What a workload attestor is: it says of a process, known by its pid, which selectors describe it. It never says who the process is.
import type { Selector } from '../../spiffe/selector.ts';

export interface WorkloadAttestor {
  readonly type: string;
  /** Selectors of the process. Throws a WorkloadAttestError where the process cannot be described. The signal is the time limit. */
  attest(pid: number, signal: AbortSignal): Promise<Selector[]>;
}

export type WorkloadAttestErrorCode =
  | 'PROCESS'
  | 'PROCESS_CHANGED'
  | 'PATH'
  | 'DIGEST'
  | 'BUS'
  | 'BUS_REFUSAL'
  | 'CONTAINER'
  | 'KUBELET'
  | 'API_SERVER'
  | 'TIME_LIMIT'
  | 'NO_SELECTORS';

export class WorkloadAttestError extends Error {
  readonly code: WorkloadAttestErrorCode;

  constructor(code: WorkloadAttestErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'WorkloadAttestError';
    this.code = code;
  }
}
