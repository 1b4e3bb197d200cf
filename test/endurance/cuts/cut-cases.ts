// The calls that change something, by the statement whose commit is cut, each at three moments.
import { moments } from './database-proxy.ts';
import type { Moment } from './database-proxy.ts';

/**
 * The change of each call's table; a bundle that is appended to is there already. Not here are calls whose callers are promised nothing of the store: what
 * PostStatus and Report say is written later, and an SVID is signed though up to when SVIDs are valid could not be kept.
 */
export const cutCalls = {
  BatchCreateEntry: /INSERT INTO entries/i,
  BatchUpdateEntry: /UPDATE entries/i,
  BatchDeleteEntry: /DELETE FROM entries/i,
  CreateJoinToken: /INSERT INTO join_tokens/i,
  AttestAgent: /INSERT INTO agents/i,
  BanAgent: /UPDATE agents/i,
  DeleteAgent: /DELETE FROM agents/i,
  AppendBundle: /UPDATE bundles/i,
  BatchCreateFederatedBundle: /INSERT INTO bundles/i,
  BatchUpdateFederatedBundle: /(?:UPDATE|INSERT INTO) bundles/i,
  BatchSetFederatedBundle: /(?:UPDATE|INSERT INTO) bundles/i,
  BatchDeleteFederatedBundle: /DELETE FROM bundles/i,
  BatchCreateFederationRelationship: /INSERT INTO federation_relationships/i,
  BatchUpdateFederationRelationship: /UPDATE federation_relationships/i,
  BatchDeleteFederationRelationship: /DELETE FROM federation_relationships/i,
  RenewAgent: /UPDATE agents/i,
  PublishJWTAuthority: /UPDATE bundles/i,
  NewDownstreamX509CA: /INSERT INTO authority_intents/i,
  RefreshBundle: /(?:UPDATE|INSERT INTO) bundles/i,
  SetTemplate: /INSERT INTO service_templates/i,
  DeleteTemplate: /DELETE FROM service_templates/i,
  DeriveIdentity: /INSERT INTO service_identities/i,
  WithdrawIdentity: /DELETE FROM entries/i,
  WithdrawX509Authority: /UPDATE bundles/i,
  WithdrawJWTAuthority: /UPDATE bundles/i,
  TaintX509UpstreamAuthority: /UPDATE bundles/i,
  RevokeX509UpstreamAuthority: /UPDATE bundles/i,
  PrepareX509Authority: /UPDATE bundles/i,
  ActivateX509Authority: /(?:UPDATE|INSERT INTO) ca_journals/i,
  TaintX509Authority: /UPDATE bundles/i,
  RevokeX509Authority: /UPDATE bundles/i,
  PrepareJWTAuthority: /UPDATE bundles/i,
  ActivateJWTAuthority: /(?:UPDATE|INSERT INTO) ca_journals/i,
  TaintJWTAuthority: /UPDATE bundles/i,
  RevokeJWTAuthority: /UPDATE bundles/i,
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
