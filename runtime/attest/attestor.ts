// What the two halves of a node attestor are: the agent's makes evidence, the server's judges it. Each method has its own folder beside this file.
import type { SpiffeId } from '../spiffe/spiffe-id.ts';
import type { Selector } from '../spiffe/selector.ts';
import type { TrustDomain } from '../spiffe/trust-domain.ts';

/** The agent's half: one payload, and then an answer for each challenge that the server sends. */
export interface AgentAttestor {
  readonly type: string;
  /** Whether a server takes the evidence once, so that a node without its state must be evicted first. */
  readonly isTrustedOnFirstUse?: boolean;
  payload(): Promise<Uint8Array>;
  respond(challenge: Uint8Array): Promise<Uint8Array>;
}

export interface AttestResult {
  readonly spiffeId: SpiffeId;
  /** Their type is the method's name. */
  readonly selectors: readonly Selector[];
  /** False where the evidence is trusted on first use: the node must be evicted before it may attest again. */
  readonly canReattest: boolean;
}

export interface AttestContext {
  /** Whether an agent of that ID is on record, made for another than the caller. */
  hasAttested(spiffeId: SpiffeId): Promise<boolean>;
  readonly signal: AbortSignal;
  /** Address of the caller as the transport knows it, without a port; absent on the local socket. Never from metadata. */
  readonly clientAddress?: string;
}

/** Sends a challenge to the agent; its answer comes back. */
export type Challenge = (challenge: Uint8Array) => Promise<Uint8Array>;

/** The server's half: a result, or an AttestError that names the refusal. */
export interface ServerAttestor {
  readonly type: string;
  attest(payload: Uint8Array, challenge: Challenge, context: AttestContext): Promise<AttestResult>;
}

/** What an attestor says about itself; a pino logger fits. Evidence is never logged. */
export interface AttestLog {
  debug(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

export interface AgentAttestorDeps {
  readonly trustDomain: TrustDomain;
  readonly log: AttestLog;
  readonly joinToken?: string;
  readonly fetch?: typeof fetch;
  /** Says where the clouds' metadata services are, as it does to their SDKs; the process's own where left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface ServerAttestorDeps {
  readonly trustDomain: TrustDomain;
  readonly log: AttestLog;
  readonly clock: () => number;
  readonly fetch?: typeof fetch;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The trust domain's X.509 authorities, DER: x509pop's mode `spiffe` judges by them. */
  readonly x509Authorities?: () => Promise<readonly Uint8Array[]>;
}
