// What the programs of a cluster are told: its server, below the upstream; the upstream's agent in the server's own pod; and the agent of every node.
// Public texts: the one secret, the database's password, comes from the pod's environment.
import { parseAddress } from '../clients/spire-server.ts';
import type { ClusterPlan, TrustDomainPlan } from '../plan.ts';
import { serverPort } from '../plan.ts';
import { agentAccount, agentNamespace, serverNamespace } from './cluster.ts';

/** The Workload API of the upstream's agent, in a directory of the pod. */
export const upstreamSockets = '/run/spire/upstream-sockets';
export const nodeKeys = '/etc/spire/node';
export const upstreamAgentConfig = '/etc/spire/upstream-agent';
export const upstreamAgentPort = 8083;

/** What a server was told, read from the text below. */
export function caTtlIn(text: string): string | undefined {
  return /^ {2}ca_ttl = "([^"]+)"$/m.exec(text)?.[1];
}

export function clusterServerConfig(
  { spec, workerId }: TrustDomainPlan,
  cluster: ClusterPlan,
  upstream: string,
): string {
  const { host, port } = parseAddress(upstream);
  return `server {
  bind_address = "0.0.0.0"
  bind_port = ${serverPort}
  socket_path = "/run/spire/sockets/server.sock"
  data_dir = "/var/lib/spire/server"
  trust_domain = "${spec.trustDomain}"
  log_level = "info"
  log_format = "json"
  audit_log_enabled = true
  ca_key_type = "${spec.keyType}"
  ca_ttl = "${cluster.caTtl}"
  default_x509_svid_ttl = "${spec.ttl.x509Svid}"
  default_jwt_svid_ttl = "${spec.ttl.jwtSvid}"
  ttl_lattice = "enforce"
  admin_ids = ["${workerId}"]
  ca_subject { country = ["US"] organization = ["SPIFFE"] common_name = "spire-server-${cluster.name}" }
}

plugins {
  DataStore "sql" {
    plugin_data {
      database_type = "postgres"
      connection_string = "host=spire-db port=5432 user=spire dbname=spire password=\${DATABASE_PASSWORD} sslmode=disable"
    }
  }
  KeyManager "disk" { plugin_data { keys_path = "/var/lib/spire/server/keys.json" } }
  NodeAttestor "k8s_psat" {
    plugin_data {
      clusters = {
        "${cluster.name}" = {
          service_account_allow_list = ["${agentNamespace}:${agentAccount}"]
          audience = ["spire-server"]
        }
      }
    }
  }
  BundlePublisher "k8s_configmap" {
    plugin_data {
      clusters = {
        "${cluster.name}" = {
          namespace = "${agentNamespace}"
          configmap_name = "spire-bundle"
          configmap_key = "bundle.crt"
          format = "pem"
        }
      }
    }
  }
  UpstreamAuthority "spire" {
    plugin_data {
      server_address = "${host}"
      server_port = "${port}"
      workload_api_socket = "${upstreamSockets}/agent.sock"
    }
  }
}

${health('0.0.0.0', 8080)}
telemetry {
  Prometheus { host = "0.0.0.0" port = 9988 }
}
`;
}

/** It attests anew whenever its pod does: the certificate is in a Secret, under the pod's own name. */
export function upstreamAgentConfigText({ spec }: TrustDomainPlan, upstream: string): string {
  const { host, port } = parseAddress(upstream);
  return `agent {
  data_dir = "/var/lib/spire/server/upstream-agent"
  log_level = "info"
  log_format = "json"
  trust_domain = "${spec.trustDomain}"
  server_address = "${host}"
  server_port = ${port}
  socket_path = "${upstreamSockets}/agent.sock"
  trust_bundle_path = "${upstreamAgentConfig}/bundle.crt"
}

plugins {
  NodeAttestor "x509pop" {
    plugin_data {
      private_key_path = "${nodeKeys}/\${POD_NAME}.key"
      certificate_path = "${nodeKeys}/\${POD_NAME}.crt"
    }
  }
  KeyManager "disk" { plugin_data { directory = "/var/lib/spire/server/upstream-agent" } }
  WorkloadAttestor "unix" { plugin_data {} }
}

${health('0.0.0.0', upstreamAgentPort)}`;
}

export function clusterAgentConfig({ spec }: TrustDomainPlan, cluster: ClusterPlan): string {
  return `agent {
  data_dir = "/var/lib/spire/agent"
  log_level = "info"
  log_format = "json"
  trust_domain = "${spec.trustDomain}"
  server_address = "spire-server.${serverNamespace}.svc"
  server_port = ${serverPort}
  socket_path = "/run/spire/sockets/agent.sock"
  trust_bundle_path = "/etc/spire/bundle/bundle.crt"
}

plugins {
  NodeAttestor "k8s_psat" { plugin_data { cluster = "${cluster.name}" } }
  KeyManager "disk" { plugin_data { directory = "/var/lib/spire/agent" } }
  # The kubelet of this very node, on its loopback, where its certificate, which is its own in many clusters, tells nothing more.
  WorkloadAttestor "k8s" { plugin_data { skip_kubelet_verification = true } }
}

${health('127.0.0.1', 8082)}
telemetry {
  Prometheus { host = "\${METRICS_HOST}" port = 9989 }
}
`;
}

function health(address: string, port: number): string {
  return `health_checks {
  listener_enabled = true
  bind_address = "${address}"
  bind_port = "${port}"
  live_path = "/live"
  ready_path = "/ready"
}
`;
}
