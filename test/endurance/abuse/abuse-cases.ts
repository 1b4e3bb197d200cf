// What clients that mean harm, or know no better, do to each of our sockets: the public one of an agent, its operators' one, and a server's port.
import type { AbuseKind } from './abuses.ts';

export const abuseTargets = ['agent', 'admin', 'server'] as const;
export type AbuseTarget = (typeof abuseTargets)[number];

export interface AbuseCase {
  readonly matrix: 'abuse';
  /** `abuse/agent/slow-readers`. */
  readonly name: string;
  readonly target: AbuseTarget;
  readonly kind: AbuseKind;
}

const ofHttp2: readonly AbuseKind[] = [
  'streams',
  'connect-and-close',
  'silence',
  'preface-and-silence',
  'slow-readers',
  'unfinished-requests',
  'oversize-frames',
  'oversize-messages',
  'garbage',
  'garbage-frames',
  'rapid-reset',
  'live-resets',
  'live-drops',
  'continuation-flood',
  'settings-flood',
  'ping-flood',
  'window-flood',
  'empty-data-flood',
  'one-byte-data',
  'deep-protobuf',
  'unknown-methods',
  'huge-headers',
];

const kindsOf: Readonly<Record<AbuseTarget, readonly AbuseKind[]>> = {
  agent: [...ofHttp2, 'wrong-security-header'],
  admin: ofHttp2,
  server: [...ofHttp2, 'handshakes', 'half-handshakes'],
};

export const abuseCases: readonly AbuseCase[] = abuseTargets.flatMap((target) =>
  kindsOf[target].map((kind) => ({ matrix: 'abuse', name: `abuse/${target}/${kind}`, target, kind })),
);
