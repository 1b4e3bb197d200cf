// How many connections were made or refused, by peer and outcome: what a workload shows its operator, and what a rotation watches.
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import { WorkloadError } from './errors.ts';
import type { WorkloadErrorCode } from './errors.ts';

export type HandshakeRole = 'client' | 'server';
/** ACCEPTED, what the peer was refused for, or FAILED: there was no peer to judge. */
export type HandshakeOutcome = 'ACCEPTED' | 'FAILED' | WorkloadErrorCode;

export interface HandshakeCount {
  readonly role: HandshakeRole;
  /** Absent where the peer was not verified: anybody may claim any ID. */
  readonly peerId: string | undefined;
  readonly outcome: HandshakeOutcome;
  readonly count: number;
}

export interface Handshakes {
  accepted(role: HandshakeRole, peerId: SpiffeId): void;
  refused(role: HandshakeRole, error: unknown): void;
  counts(): readonly HandshakeCount[];
}

/** Peers beyond these are counted together, as if unnamed: nobody fills our memory by calling under many names. */
const defaultMaxPeers = 1_000;

export function createHandshakes({ maxPeers = defaultMaxPeers }: { readonly maxPeers?: number } = {}): Handshakes {
  const counts = new Map<string, HandshakeCount>();
  const peers = new Set<string>();

  const note = (role: HandshakeRole, outcome: HandshakeOutcome, verified: SpiffeId | undefined): void => {
    const named = verified?.toString();
    if (named !== undefined && peers.size < maxPeers) peers.add(named);
    const peerId = named !== undefined && peers.has(named) ? named : undefined;
    const key = `${role} ${outcome} ${peerId ?? ''}`;
    counts.set(key, { role, peerId, outcome, count: (counts.get(key)?.count ?? 0) + 1 });
  };

  return {
    accepted: (role, peerId) => note(role, 'ACCEPTED', peerId),
    refused(role, error) {
      if (!(error instanceof WorkloadError)) return note(role, 'FAILED', undefined);
      note(role, error.code, error.code === 'PEER_NOT_AUTHORIZED' ? error.peerId : undefined);
    },
    counts: () => [...counts.values()],
  };
}
