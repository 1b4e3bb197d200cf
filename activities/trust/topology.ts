// Where a trust domain's servers are, tier by tier: what a change of trust acts on and proves itself by. Types only.

/** Servers on one database, which sign for the same agents. */
export interface Tier {
  /** `upstream`, or the segment's name. */
  readonly name: string;
  /** The tier that signs this one's intermediate CAs; absent at the root. */
  readonly parent?: string | undefined;
  readonly servers: readonly TierServer[];
}

export interface TierServer {
  readonly name: string;
  /** `host`, or `host:port` where the port is not 8081; IPv6 in brackets. */
  readonly address: string;
}

export interface Topology {
  readonly trustDomain: string;
  /** Each after its parent; the first is the root. */
  readonly tiers: readonly Tier[];
}
