import { describe, expect, it } from 'vitest';
import { goStatusName, permissionDenied, statusCode } from '../../../runtime/rpc/status.ts';
import { createCallCounter } from '../../../runtime/telemetry/call-counter.ts';
import { expose } from '../../../runtime/telemetry/exposition.ts';
import { createRegistry } from '../../../runtime/telemetry/registry.ts';
import { rpcKey, serviceName } from '../../../runtime/telemetry/rpc-key.ts';

function create() {
  let time = 0;
  const registry = createRegistry({ prefix: 'p', now: () => time });
  const calls = createCallCounter(registry, ['svid', 'rotate']);
  const shown = () => [...expose(registry).matchAll(/^p_\S+ \d+$/gm)].map(([line]) => line);
  return { calls, shown, pass: (ms: number) => (time += ms) };
}

describe('a call counter', () => {
  it('counts a call and its time by its status', async () => {
    const { calls, shown, pass } = create();
    expect(await calls.measure(async () => pass(5))).toBe(5);
    await expect(calls.measure(() => Promise.reject(permissionDenied('no')))).rejects.toThrow('no');
    expect(shown().filter((line) => !line.includes('quantile'))).toEqual([
      'p_svid_rotate{status="OK"} 1',
      'p_svid_rotate{status="PermissionDenied"} 1',
      'p_svid_rotate_elapsed_time_sum{status="OK"} 5',
      'p_svid_rotate_elapsed_time_count{status="OK"} 1',
      'p_svid_rotate_elapsed_time_sum{status="PermissionDenied"} 0',
      'p_svid_rotate_elapsed_time_count{status="PermissionDenied"} 1',
    ]);
  });

  it('counts what is no status as Unknown, and what was given up as Canceled', async () => {
    const { calls, shown } = create();
    await expect(calls.measure(() => Promise.reject(new Error('x')))).rejects.toThrow('x');
    await expect(calls.measure(() => Promise.reject(new DOMException('', 'AbortError')))).rejects.toThrow();
    expect(shown()).toEqual(
      expect.arrayContaining(['p_svid_rotate{status="Unknown"} 1', 'p_svid_rotate{status="Canceled"} 1']),
    );
  });

  it('shows nothing before the first call, as SPIRE does', () => {
    expect(create().shown()).toEqual([]);
  });
});

it.for([
  [statusCode.OK, 'OK'],
  [statusCode.CANCELLED, 'Canceled'],
  [statusCode.DEADLINE_EXCEEDED, 'DeadlineExceeded'],
  [statusCode.UNAUTHENTICATED, 'Unauthenticated'],
] as const)('writes status %i as %s', ([code, name]) => {
  expect(goStatusName(code)).toBe(name);
});

describe('the key of a method', () => {
  it.for([
    ['/spire.api.server.svid.v1.SVID/MintX509SVID', 'rpc_svid_v1_svid_mint_x509svid'],
    ['/spire.api.server.svid.v1.SVID/BatchNewX509SVID', 'rpc_svid_v1_svid_batch_new_x509svid'],
    ['/spire.api.server.svid.v1.SVID/NewJWTSVID', 'rpc_svid_v1_svid_new_jwtsvid'],
    ['/spire.api.server.svid.v1.SVID/NewDownstreamX509CA', 'rpc_svid_v1_svid_new_downstream_x509ca'],
    ['/spire.api.server.agent.v1.Agent/AttestAgent', 'rpc_agent_v1_agent_attest_agent'],
    ['/spire.api.server.entry.v1.Entry/GetAuthorizedEntries', 'rpc_entry_v1_entry_get_authorized_entries'],
    ['/spire.api.server.trustdomain.v1.TrustDomain/RefreshBundle', 'rpc_trustdomain_v1_trust_domain_refresh_bundle'],
    ['/spire.api.server.bundle.v1.Bundle/PublishJWTAuthority', 'rpc_bundle_v1_bundle_publish_jwt_authority'],
    [
      '/spire.api.server.localauthority.v1.LocalAuthority/TaintX509UpstreamAuthority',
      'rpc_localauthority_v1_local_authority_taint_x509_upstream_authority',
    ],
    ['/SpiffeWorkloadAPI/FetchX509SVID', 'rpc_workload_api_fetch_x509svid'],
    ['/SpiffeWorkloadAPI/FetchX509Bundles', 'rpc_workload_api_fetch_x509_bundles'],
    ['/SpiffeWorkloadAPI/FetchJWTSVID', 'rpc_workload_api_fetch_jwtsvid'],
    ['/SpiffeWorkloadAPI/FetchJWTBundles', 'rpc_workload_api_fetch_jwt_bundles'],
    ['/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets', 'rpc_sds_v3_stream_secrets'],
    [
      '/spire.api.agent.delegatedidentity.v1.DelegatedIdentity/SubscribeToX509SVIDs',
      'rpc_delegated_identity_subscribe_to_x509_svids',
    ],
    ['/grpc.health.v1.Health/Check', 'rpc_health_check'],
  ] as const)('%s is %s', ([method, key]) => {
    expect(rpcKey(method).join('_')).toBe(key);
  });

  it('begins with the service as SPIRE logs it', () => {
    expect(serviceName('/spire.api.server.svid.v1.SVID/MintX509SVID')).toBe('svid.v1.SVID');
  });
});
