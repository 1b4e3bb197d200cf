// An agent killed between any two steps of its first attestation, of its renewal and of beginning anew, with evidence that serves once (a join token)
// and with evidence that serves again (x509pop).
import { faultPoints } from '../../../runtime/agent/fault-points.ts';
import type { FaultPoint } from '../../../runtime/agent/fault-points.ts';

export const methods = ['join_token', 'x509pop'] as const;
export type Method = (typeof methods)[number];
export const moments = ['first', 'renewal', 'rebootstrap'] as const;
export type Moment = (typeof moments)[number];

export interface AgentCase {
  readonly matrix: 'agent';
  /** `agent/join_token/first/data.svid.written`. */
  readonly name: string;
  readonly method: Method;
  readonly moment: Moment;
  readonly point: FaultPoint;
}

const attestation = /^(?:keys|data\.attesting|data\.bundle|data\.svid|attest)\./;
const renewal = /^(?:keys|data\.svid|renew)\./;

function isPassed(method: Method, moment: Moment, point: FaultPoint): boolean {
  if (moment === 'first') return attestation.test(point) || point.startsWith('data.bootstrap.');
  // What can attest again renews so; what cannot is never to begin anew.
  if (method === 'x509pop') return moment === 'renewal' ? attestation.test(point) : point.startsWith('data.forgotten.');
  return moment === 'renewal' && renewal.test(point);
}

export const agentCases: readonly AgentCase[] = methods.flatMap((method) =>
  moments.flatMap((moment) =>
    faultPoints
      .filter((point) => isPassed(method, moment, point))
      .map((point) => ({
        matrix: 'agent',
        name: `agent/${method}/${moment}/${point}`,
        method,
        moment,
        point,
      })),
  ),
);
