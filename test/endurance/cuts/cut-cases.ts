// The calls that change something, by the statement whose commit is cut, each at three moments.
import { moments } from './database-proxy.ts';
import type { Moment } from './database-proxy.ts';

/** The first change of each call's table. */
export const cutCalls = {
  BatchCreateEntry: /INSERT INTO entries/i,
  BatchUpdateEntry: /UPDATE entries/i,
  BatchDeleteEntry: /DELETE FROM entries/i,
  CreateJoinToken: /INSERT INTO join_tokens/i,
  AttestAgent: /INSERT INTO agents/i,
  BanAgent: /UPDATE agents/i,
  DeleteAgent: /DELETE FROM agents/i,
  AppendBundle: /(?:UPDATE|INSERT INTO) bundles/i,
  BatchCreateFederatedBundle: /INSERT INTO bundles/i,
  BatchSetFederatedBundle: /(?:UPDATE|INSERT INTO) bundles/i,
  BatchDeleteFederatedBundle: /DELETE FROM bundles/i,
  PrepareX509Authority: /(?:UPDATE|INSERT INTO) bundles/i,
  ActivateX509Authority: /(?:UPDATE|INSERT INTO) ca_journals/i,
  TaintX509Authority: /(?:UPDATE|INSERT INTO) bundles/i,
  RevokeX509Authority: /(?:UPDATE|INSERT INTO) bundles/i,
  PrepareJWTAuthority: /(?:UPDATE|INSERT INTO) bundles/i,
  ActivateJWTAuthority: /(?:UPDATE|INSERT INTO) ca_journals/i,
  TaintJWTAuthority: /(?:UPDATE|INSERT INTO) bundles/i,
  RevokeJWTAuthority: /(?:UPDATE|INSERT INTO) bundles/i,
} as const;
export type CutCall = keyof typeof cutCalls;

export interface CutCase {
  readonly matrix: 'database';
  /** `database/BatchCreateEntry/during`. */
  readonly name: string;
  readonly call: CutCall;
  readonly moment: Moment;
}

export const cutCases: readonly CutCase[] = (Object.keys(cutCalls) as CutCall[]).flatMap((call) =>
  moments.map((moment) => ({ matrix: 'database', name: `database/${call}/${moment}`, call, moment })),
);
