// Who is at the other end of a connection, as far as the transport knows. What the caller may do is decided elsewhere.
import type { SpiffeId } from '../spiffe/spiffe-id.ts';

/** A process on this machine: the kernel names it. */
export interface UnixConnection {
  readonly transport: 'unix';
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /**
   * When the process started, in ticks since boot, as found when the connection was accepted: whoever describes the process by its pid compares
   * with it. Absent where the process had ended by then or is not visible here.
   */
  readonly startTime?: string;
}

/** A peer over TLS. */
export interface TcpConnection {
  readonly transport: 'tcp';
  /** The peer's address and port. */
  readonly address: string;
  /** DER, leaf first, already verified; empty where the peer showed no certificate. */
  readonly peerChain: readonly Uint8Array[];
  /** What the verification made of the chain; absent where there is none. */
  readonly peerId?: SpiffeId;
}

export type Connection = UnixConnection | TcpConnection;
