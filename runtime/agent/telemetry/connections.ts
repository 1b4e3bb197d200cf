// How many calls each of the agent's APIs has had and has now: SPIRE calls them connections. Health is not among them.
import type { CallObserver } from '../../rpc/call-context.ts';
import type { Metrics } from '../../telemetry/registry.ts';

const apis: ReadonlyMap<string, string> = new Map([
  ['SpiffeWorkloadAPI', 'workload_api'],
  ['envoy.service.secret.v3.SecretDiscoveryService', 'sds_api'],
  ['spire.api.agent.delegatedidentity.v1.DelegatedIdentity', 'delegated_identity_api'],
  ['spire.agent.debug.v1.Debug', 'debug_api'],
  ['spire.api.agent.logger.v1.Logger', 'logger_api'],
]);

export function createConnectionObserver(metrics: Metrics): (method: string) => CallObserver | undefined {
  const observers = new Map<string, CallObserver>();
  const create = (api: string): CallObserver => {
    const connection = metrics.counter([api, 'connection']);
    const connections = metrics.gauge([api, 'connections']);
    let now = 0;
    connections.set(now);
    return {
      began() {
        connection.add();
        connections.set((now += 1));
      },
      ended() {
        connections.set((now -= 1));
      },
    };
  };
  return (method) => {
    const api = apis.get(method.slice(1, method.lastIndexOf('/')));
    if (api === undefined) return undefined;
    const observer = observers.get(api) ?? create(api);
    observers.set(api, observer);
    return observer;
  };
}
