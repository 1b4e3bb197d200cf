// What the server keeps of its fleet: what agents and downstream servers say that they serve, and when each authority came, was tainted and went.

export type AuthorityKindName = 'x509' | 'jwt';

export interface ReportedAuthority {
  /** X.509: hex subject key id; JWT: key id. */
  readonly authorityId: string;
  readonly tainted: boolean;
}

/** Certificates with the same authorities above them. Unix seconds. */
export interface CertificatesBelow {
  /** From the one that signed them up to the root. */
  readonly authorityIds: readonly string[];
  readonly count: number;
  readonly earliestNotAfter: number;
  readonly latestNotAfter: number;
}

export interface FleetReport {
  readonly version: string;
  readonly x509: readonly ReportedAuthority[];
  readonly jwt: readonly ReportedAuthority[];
  readonly own?: CertificatesBelow;
  readonly issued: readonly CertificatesBelow[];
  readonly streams: number;
  readonly streamsLagging: number;
  /** Of the reporter's clock against ours; milliseconds. */
  readonly clockSkewMs: number;
}

export type ReporterKind = 'agent' | 'downstream';

export interface FleetReportRecord {
  readonly kind: ReporterKind;
  readonly spiffeId: string;
  /** Tells downstream servers of one SPIFFE ID apart; empty for agents. */
  readonly instance: string;
  /** Epoch ms. */
  readonly reportedAt: number;
  readonly report: FleetReport;
}

/** An agent that may serve, or a downstream server that reported. */
export interface FleetHolder {
  /** In the order of which they are listed. */
  readonly seq: number;
  readonly spiffeId: string;
  readonly instance: string;
  /** Of agents that never reported, what they said at their start. */
  readonly version: string;
  /** Of agents: unix seconds; when the SVID ends that the agent uses or may use next. */
  readonly svidExpiresAt: number;
  /** Epoch ms; 0 where there is no report. */
  readonly reportedAt: number;
  readonly report?: FleetReport;
}

/** The life of an authority of this tier. Epoch ms; 0 where it has not happened. */
export interface AuthorityLife {
  readonly kind: AuthorityKindName;
  readonly authorityId: string;
  readonly publishedAt: number;
  readonly taintedAt: number;
  readonly revokedAt: number;
  /** Unix seconds: up to when something may be valid that this tier's servers signed under it; 0 where nothing is known. */
  readonly signedUntil: number;
}
