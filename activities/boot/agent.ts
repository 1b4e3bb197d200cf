// The part of a boot script that runs a SPIRE agent which attests with its cloud's instance identity.
import { digest } from '../cloud.ts';
import type { Cloud } from '../spec/trust-domain-spec.ts';
import { serverPort } from '../plan.ts';
import { startHardenedUnit } from './hardened-unit.ts';
import { writeFile } from './shell.ts';

export interface AgentBoot {
  readonly cloud: Cloud;
  readonly trustDomain: string;
  readonly serverAddress: string;
  /** PEM of the trust domain's X.509 authorities: public. */
  readonly bundlePem: string;
}

/** Where workloads on the instance find the Workload API. */
export const agentSocket = '$RUN/spire-agent/public/api.sock';

export function bootAgent(boot: AgentBoot): string {
  const attestor =
    boot.cloud === 'aws' ? 'NodeAttestor "aws_iid" { plugin_data {} }' : 'NodeAttestor "gcp_iit" { plugin_data {} }';
  const config = `agent {
  data_dir = "$ROOT/var/lib/spire/agent"
  log_level = "info"
  trust_domain = "${boot.trustDomain}"
  server_address = "${boot.serverAddress}"
  server_port = ${serverPort}
  socket_path = "${agentSocket}"
  trust_bundle_path = "$ROOT/etc/spire/agent/bundle.pem"
}
plugins {
  ${attestor}
  KeyManager "disk" { plugin_data { directory = "$ROOT/var/lib/spire/agent" } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}
`;
  return `${writeFile('$ROOT/etc/spire/agent/bundle.pem', boot.bundlePem)}
${writeFile('$ROOT/etc/spire/agent/agent.conf', config, { expand: true })}
mkdir -p "$ROOT/var/lib/spire/agent" "$RUN/spire-agent/public"
chmod 0700 "$ROOT/var/lib/spire/agent"
program "$IMAGE/opt/espalier/bin/spire-agent"
${startHardenedUnit('spire-agent', `configuration ${digest(config).slice(0, 8)}`)}
say "spire-agent started"`;
}
