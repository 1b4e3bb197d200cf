// The 65 methods of SPIRE's server API and those of our own, one row each: who may call it, over which transport, and what it answers to an empty request once the caller
// is let through. Written from spire-rules §3.4 and from what SPIRE's services answer, apart from our own policy table.
import { HealthService } from '../../../../../proto/gen/grpc/health/v1/health.ts';
import { FleetService } from '../../../../../proto/gen/espalier/fleet/v1/fleet.ts';
import { ServiceIdentitiesService } from '../../../../../proto/gen/espalier/service/v1/service.ts';
import { AgentService } from '../../../../../proto/gen/spire/api/server/agent/v1/agent.ts';
import { BundleService } from '../../../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { DebugService } from '../../../../../proto/gen/spire/api/server/debug/v1/debug.ts';
import { EntryService } from '../../../../../proto/gen/spire/api/server/entry/v1/entry.ts';
import { LocalAuthorityService } from '../../../../../proto/gen/spire/api/server/localauthority/v1/localauthority.ts';
import { LoggerService } from '../../../../../proto/gen/spire/api/server/logger/v1/logger.ts';
import { SVIDService } from '../../../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import { TrustDomainService } from '../../../../../proto/gen/spire/api/server/trustdomain/v1/trustdomain.ts';
import type { MethodDefinition, ServiceDefinition } from '../../../../../runtime/rpc/service.ts';

export type CallerRole = 'any' | 'local' | 'admin' | 'agent' | 'downstream';

export interface RpcRow {
  readonly method: string;
  readonly definition: MethodDefinition;
  readonly roles: readonly CallerRole[];
  readonly transport: 'both' | 'unix';
  /** Code and message, or `OK`. A message that ends in … goes on with a parser's own words. */
  readonly answer: string;
}

const wit = 'UNIMPLEMENTED WIT-SVID functionality is not yet implemented';
const noId = 'INVALID_ARGUMENT invalid agent ID: request must specify SPIFFE ID';
const noTrustDomain = 'INVALID_ARGUMENT failed to parse trust domain: trust domain is missing';
const noUpstream = 'FAILED_PRECONDITION upstream authority is not configured';
const noAuthority = 'INVALID_ARGUMENT no authority ID provided';

const table: readonly [string, ServiceDefinition, string][] = [
  [
    'spire.api.server.svid.v1.SVID',
    SVIDService,
    `MintX509SVID local+admin both INVALID_ARGUMENT missing CSR
     MintJWTSVID local+admin both INVALID_ARGUMENT invalid SPIFFE ID: request must specify SPIFFE ID
     MintWITSVID local+admin both UNIMPLEMENTED WIT functionality is disabled
     BatchNewX509SVID agent both INVALID_ARGUMENT missing parameters
     NewJWTSVID agent both NOT_FOUND entry not found or not authorized
     BatchNewWITSVID agent both INVALID_ARGUMENT missing parameters
     NewDownstreamX509CA downstream both INVALID_ARGUMENT malformed CSR: …`,
  ],
  [
    'spire.api.server.bundle.v1.Bundle',
    BundleService,
    `GetBundle any both OK
     AppendBundle local+admin both INVALID_ARGUMENT no authorities to append
     PublishJWTAuthority downstream both INVALID_ARGUMENT missing JWT authority
     PublishWITAuthority downstream both ${wit}
     CountBundles local+admin both OK
     ListFederatedBundles local+admin both OK
     GetFederatedBundle local+admin+agent both INVALID_ARGUMENT trust domain argument is not valid: trust domain is missing
     BatchCreateFederatedBundle local+admin both OK
     BatchUpdateFederatedBundle local+admin both OK
     BatchSetFederatedBundle local+admin both OK
     BatchDeleteFederatedBundle local+admin both OK`,
  ],
  ['spire.api.server.debug.v1.Debug', DebugService, 'GetInfo local unix OK'],
  [
    'spire.api.server.entry.v1.Entry',
    EntryService,
    `CountEntries local+admin both OK
     ListEntries local+admin both OK
     GetEntry local+admin both INVALID_ARGUMENT missing ID
     BatchCreateEntry local+admin both OK
     BatchUpdateEntry local+admin both OK
     BatchDeleteEntry local+admin both OK
     GetAuthorizedEntries agent both OK
     SyncAuthorizedEntries agent both OK`,
  ],
  [
    'spire.api.server.logger.v1.Logger',
    LoggerService,
    `GetLogger local unix OK
     SetLogLevel local unix INVALID_ARGUMENT newLevel value cannot be LogLevel_UNSPECIFIED
     ResetLogLevel local unix OK`,
  ],
  [
    'spire.api.server.agent.v1.Agent',
    AgentService,
    `CountAgents local+admin both OK
     ListAgents local+admin both OK
     GetAgent local+admin both ${noId}
     DeleteAgent local+admin both ${noId}
     BanAgent local+admin both ${noId}
     AttestAgent any both INVALID_ARGUMENT malformed param: missing params
     RenewAgent agent both INVALID_ARGUMENT params cannot be nil
     PostStatus agent both OK
     CreateJoinToken local+admin both INVALID_ARGUMENT ttl is required, you must provide one`,
  ],
  [
    'grpc.health.v1.Health',
    HealthService,
    `Check local unix OK
     List local unix OK
     Watch local unix OK`,
  ],
  [
    'spire.api.server.trustdomain.v1.TrustDomain',
    TrustDomainService,
    `ListFederationRelationships local+admin both OK
     GetFederationRelationship local+admin both ${noTrustDomain}
     BatchCreateFederationRelationship local+admin both OK
     BatchUpdateFederationRelationship local+admin both OK
     BatchDeleteFederationRelationship local+admin both OK
     RefreshBundle local+admin both ${noTrustDomain}`,
  ],
  [
    'spire.api.server.localauthority.v1.LocalAuthority',
    LocalAuthorityService,
    `GetJWTAuthorityState local+admin both OK
     PrepareJWTAuthority local+admin both OK
     ActivateJWTAuthority local+admin both ${noAuthority}
     TaintJWTAuthority local+admin both ${noAuthority}
     RevokeJWTAuthority local+admin both INVALID_ARGUMENT invalid authority ID: no authority ID provided
     GetX509AuthorityState local+admin both OK
     PrepareX509Authority local+admin both OK
     ActivateX509Authority local+admin both ${noAuthority}
     TaintX509Authority local+admin both ${noAuthority}
     TaintX509UpstreamAuthority local+admin both ${noUpstream}
     RevokeX509Authority local+admin both INVALID_ARGUMENT invalid authority ID: no authority ID provided
     RevokeX509UpstreamAuthority local+admin both ${noUpstream}
     GetWITAuthorityState local+admin both ${wit}
     PrepareWITAuthority local+admin both ${wit}
     ActivateWITAuthority local+admin both ${wit}
     TaintWITAuthority local+admin both ${wit}
     RevokeWITAuthority local+admin both ${wit}`,
  ],
  [
    'espalier.fleet.v1.Fleet',
    FleetService,
    `Watch agent+downstream both OK
     Report agent+downstream both INVALID_ARGUMENT invalid report: the report does not say when it was sent
     ListHoldings local+admin both OK
     CountHoldings local+admin both OK
     WithdrawAuthority local+admin both ${noAuthority}`,
  ],
  [
    'espalier.service.v1.ServiceIdentities',
    ServiceIdentitiesService,
    `SetTemplate local+admin both INVALID_ARGUMENT missing template
     DeleteTemplate local+admin both INVALID_ARGUMENT missing entry ID
     ListTemplates local+admin both OK
     ListIdentities local+admin both OK
     DeriveIdentity agent both INVALID_ARGUMENT invalid subject: kind "" is neither customer nor tenant
     WithdrawIdentity agent both INVALID_ARGUMENT invalid subject: kind "" is neither customer nor tenant`,
  ],
];

function parseRow(service: string, definition: ServiceDefinition, line: string): RpcRow {
  const [name = '', roles = '', transport, ...answer] = line.trim().split(' ');
  const method = `/${service}/${name}`;
  const found = Object.values(definition).find(({ path }) => path === method);
  if (found === undefined || (transport !== 'both' && transport !== 'unix')) throw new Error(`no such method: ${line}`);
  return {
    method,
    definition: found,
    roles: roles.split('+') as CallerRole[],
    transport,
    answer: answer.join(' '),
  };
}

export const rpcRows: readonly RpcRow[] = table.flatMap(([service, definition, lines]) =>
  lines.split('\n').map((line) => parseRow(service, definition, line)),
);
