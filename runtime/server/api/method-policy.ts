// Who may call which method, over which transport, and which rate limit counts it: SPIRE's policy data and limits, and those of our own APIs, as
// one table. A method that is not here is refused to everybody.

export type Role = 'any' | 'local' | 'admin' | 'agent' | 'downstream';

/**
 * Limits per address, in calls (or items of a batch) a second; the same number is the burst. Calls over the Unix socket have none. Methods of one limit
 * share its tokens: what asks for X.509-SVIDs and CAs, and what publishes keys; tokens and WIT-SVIDs are counted apart.
 */
export const rateLimits = {
  attest: 1,
  signX509: 500,
  signJwt: 500,
  signWit: 500,
  publish: 500,
  status: 10,
  fleet: 200,
  service: 50,
} as const;
export type RateLimitName = keyof typeof rateLimits;

export interface MethodPolicy {
  readonly roles: readonly Role[];
  /** Served on the Unix socket only: over TCP the service does not exist. */
  readonly unixOnly?: true;
  readonly limit?: RateLimitName;
}

const any: MethodPolicy = { roles: ['any'] };
const admin: MethodPolicy = { roles: ['local', 'admin'] };
const agent: MethodPolicy = { roles: ['agent'] };
const localOnly: MethodPolicy = { roles: ['local'], unixOnly: true };
const signForAgent: MethodPolicy = { roles: ['agent'], limit: 'signX509' };
const publish: MethodPolicy = { roles: ['downstream'], limit: 'publish' };

function service(name: string, methods: Readonly<Record<string, MethodPolicy>>): [string, MethodPolicy][] {
  return Object.entries(methods).map(([method, policy]) => [`/${name}/${method}`, policy]);
}

function all(policy: MethodPolicy, methods: readonly string[]): Record<string, MethodPolicy> {
  return Object.fromEntries(methods.map((method) => [method, policy]));
}

/** Full method name to policy: SPIRE's 65 methods, and ours. */
export const methodPolicies: ReadonlyMap<string, MethodPolicy> = new Map([
  ...service('spire.api.server.svid.v1.SVID', {
    ...all(admin, ['MintX509SVID', 'MintJWTSVID', 'MintWITSVID']),
    BatchNewX509SVID: signForAgent,
    NewJWTSVID: { roles: ['agent'], limit: 'signJwt' },
    BatchNewWITSVID: { roles: ['agent'], limit: 'signWit' },
    NewDownstreamX509CA: { roles: ['downstream'], limit: 'signX509' },
  }),
  ...service('spire.api.server.bundle.v1.Bundle', {
    GetBundle: any,
    ...all(admin, ['AppendBundle', 'CountBundles', 'ListFederatedBundles']),
    ...all(publish, ['PublishJWTAuthority', 'PublishWITAuthority']),
    GetFederatedBundle: { roles: ['local', 'admin', 'agent'] },
    ...all(admin, ['BatchCreateFederatedBundle', 'BatchUpdateFederatedBundle']),
    ...all(admin, ['BatchSetFederatedBundle', 'BatchDeleteFederatedBundle']),
  }),
  ...service('spire.api.server.debug.v1.Debug', { GetInfo: localOnly }),
  ...service('spire.api.server.entry.v1.Entry', {
    ...all(admin, ['CountEntries', 'ListEntries', 'GetEntry']),
    ...all(admin, ['BatchCreateEntry', 'BatchUpdateEntry', 'BatchDeleteEntry']),
    ...all(agent, ['GetAuthorizedEntries', 'SyncAuthorizedEntries']),
  }),
  ...service('spire.api.server.logger.v1.Logger', all(localOnly, ['GetLogger', 'SetLogLevel', 'ResetLogLevel'])),
  ...service('spire.api.server.agent.v1.Agent', {
    ...all(admin, ['CountAgents', 'ListAgents', 'GetAgent', 'DeleteAgent', 'BanAgent', 'CreateJoinToken']),
    AttestAgent: { roles: ['any'], limit: 'attest' },
    RenewAgent: signForAgent,
    PostStatus: { roles: ['agent'], limit: 'status' },
  }),
  ...service('grpc.health.v1.Health', all(localOnly, ['Check', 'List', 'Watch'])),
  ...service('spire.api.server.trustdomain.v1.TrustDomain', {
    ...all(admin, ['ListFederationRelationships', 'GetFederationRelationship', 'BatchCreateFederationRelationship']),
    ...all(admin, ['BatchUpdateFederationRelationship', 'BatchDeleteFederationRelationship', 'RefreshBundle']),
  }),
  ...service('spire.api.server.localauthority.v1.LocalAuthority', {
    ...all(admin, ['GetJWTAuthorityState', 'PrepareJWTAuthority', 'ActivateJWTAuthority']),
    ...all(admin, ['TaintJWTAuthority', 'RevokeJWTAuthority']),
    ...all(admin, ['GetX509AuthorityState', 'PrepareX509Authority', 'ActivateX509Authority']),
    ...all(admin, ['TaintX509Authority', 'TaintX509UpstreamAuthority']),
    ...all(admin, ['RevokeX509Authority', 'RevokeX509UpstreamAuthority']),
    ...all(admin, ['GetWITAuthorityState', 'PrepareWITAuthority', 'ActivateWITAuthority']),
    ...all(admin, ['TaintWITAuthority', 'RevokeWITAuthority']),
  }),
  ...service('espalier.fleet.v1.Fleet', {
    ...all({ roles: ['agent', 'downstream'], limit: 'fleet' }, ['Watch', 'Report']),
    ...all(admin, ['ListHoldings', 'CountHoldings', 'WithdrawAuthority']),
  }),
  ...service('espalier.service.v1.ServiceIdentities', {
    ...all(admin, ['SetTemplate', 'DeleteTemplate', 'ListTemplates', 'ListIdentities']),
    ...all({ roles: ['agent'], limit: 'service' }, ['DeriveIdentity', 'WithdrawIdentity']),
  }),
]);
