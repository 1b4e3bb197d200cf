// Boot scripts of SPIRE servers: the upstream, which makes the trust domain's root or takes its CA from an authority that is not ours, and prints the
// root's digest on the console; and a segment's downstream, which takes its intermediate CA from the upstream through the agent on its own node.
import { authorityParts } from '../cloud.ts';
import type { Artifact, Substrate } from '../plan.ts';
import type { Cloud, TrustDomainSpec } from '../spec/trust-domain-spec.ts';
import { healthPort, serverPort } from '../plan.ts';
import { serverProgram } from '../spec/identities.ts';
import { agentSocket, bootAgent } from './agent.ts';
import { startHardenedUnit } from './hardened-unit.ts';
import { prelude, quote, startUnit, writeFile } from './shell.ts';

export interface ServerBoot {
  readonly kind: 'upstream' | 'downstream';
  readonly name: string;
  readonly cloud: Cloud;
  readonly region: string;
  readonly spec: TrustDomainSpec;
  readonly artifact: Artifact;
  readonly substrate: Substrate;
  /** Name of the secret whose value is an environment file with DATABASE_URL. */
  readonly databaseSecret: string;
  /** What the names of the secrets with the files of the authority above the root begin with; absent where the root is the server's own. */
  readonly authoritySecrets: string | undefined;
  readonly caTtl: string;
  /** SPIFFE ID of the control plane's worker. */
  readonly adminId: string;
  /** Attestors of the nodes that this server serves. */
  readonly attestors: readonly ('aws_iid' | 'gcp_iit')[];
  /** The role that lets a server outside AWS read instances there, by web identity. */
  readonly awsRoleArn: string | undefined;
  /** Upstream only: the worker's own agent attests with this certificate authority's leaf. */
  readonly worker: WorkerNode | undefined;
  /** Upstream only: PEM of the authorities that signed for the servers of clusters, as nodes. */
  readonly clusterNodes?: string | undefined;
  /** Downstream only. */
  readonly upstream: { readonly address: string; readonly bundlePem: string } | undefined;
}

export interface WorkerNode {
  readonly certificatePem: string;
  readonly agentId: string;
  readonly spiffeId: string;
  readonly selectors: readonly string[];
}

const workerCaFile = '$ROOT/etc/spire/server/worker-ca.pem';
const clusterNodesFile = '$ROOT/etc/spire/server/cluster-nodes-ca.pem';
const socket = '$RUN/spire-server/private/api.sock';

export function serverBootScript(boot: ServerBoot): string {
  const { spec } = boot;
  const certificates = Object.entries(boot.substrate.awsRegionCertificates).map(([region, pem]) =>
    writeFile(`$ROOT/etc/spire/server/aws-${region}.pem`, pem),
  );
  return [
    prelude(`${boot.kind} SPIRE server ${boot.name} of ${spec.trustDomain}`, boot.cloud, boot.artifact),
    ...(boot.upstream === undefined
      ? []
      : [
          bootAgent({
            cloud: boot.cloud,
            trustDomain: spec.trustDomain,
            serverAddress: boot.upstream.address,
            bundlePem: boot.upstream.bundlePem,
          }),
        ]),
    ...certificates,
    ...(boot.worker === undefined ? [] : [writeFile(workerCaFile, boot.worker.certificatePem)]),
    ...(boot.clusterNodes === undefined ? [] : [writeFile(clusterNodesFile, boot.clusterNodes)]),
    writeFile('$ROOT/etc/spire/server/server.conf', serverConfig(boot), { expand: true }),
    `mkdir -p "$ROOT/var/lib/spire/server" "$RUN/spire-server/private"
chmod 0700 "$ROOT/var/lib/spire/server" "$RUN/spire-server/private"
# The database's address is a secret: read by this instance's own role, never part of this script.
"$HERE/bin/espalier-node" secret --cloud ${boot.cloud} --name ${quote(boot.databaseSecret)} --file "$ROOT/etc/spire/server/database.env"
${fetchAuthority(boot)}program "$IMAGE${serverProgram}"`,
    startHardenedUnit('spire-server'),
    'say "spire-server started"',
    ...(boot.worker === undefined ? [] : [announceUpstream(boot.worker)]),
    '',
  ].join('\n\n');
}

const authorityDirectory = '$ROOT/etc/spire/server/authority';
const lookAtSecrets = '30s';

/** The authority's files come the way that the database's address comes, each readable by the server alone; a successor follows them there. */
function fetchAuthority({ authoritySecrets, cloud }: ServerBoot): string {
  if (authoritySecrets === undefined) return '';
  const unit = startUnit({
    name: 'upstream-authority',
    description: 'files of the authority above the root',
    execStart: `$HERE/bin/espalier-node authority --cloud ${cloud} --prefix ${authoritySecrets} --directory ${authorityDirectory} --every ${lookAtSecrets}`,
  });
  return `# So is the key of the authority above the root.
"$HERE/bin/espalier-node" authority --cloud ${cloud} --prefix ${quote(authoritySecrets)} --directory "${authorityDirectory}"
${unit}
`;
}

/** The first upstream's last steps: its bundle's digest on the console, and the entry that lets the worker administer it. */
function announceUpstream(worker: WorkerNode): string {
  const selectors = worker.selectors.map((selector) => `-selector ${quote(selector)}`).join(' ');
  return `"$HERE/bin/espalier-node" wait-ready --url "http://$ADDRESS:${healthPort}/ready" --timeout 120s
server() { "$NODE" "$HERE/runtime/server/cli/main.ts" "$@" -socketPath "${socket}"; }
if ! server entry show -spiffeID ${quote(worker.spiffeId)} -parentID ${quote(worker.agentId)} | grep -q 'Entry ID'; then
  server entry create -parentID ${quote(worker.agentId)} -spiffeID ${quote(worker.spiffeId)} ${selectors} >/dev/null
  say "the worker's entry is made"
fi
"$HERE/bin/espalier-node" bundle-digest --socket "${socket}"`;
}

function serverConfig(boot: ServerBoot): string {
  const { spec } = boot;
  return `server {
  bind_address = "$ADDRESS"
  bind_port = ${serverPort}
  socket_path = "${socket}"
  trust_domain = "${spec.trustDomain}"
  data_dir = "$ROOT/var/lib/spire/server"
  log_level = "info"
  ca_key_type = "${spec.keyType}"
  ca_ttl = "${boot.caTtl}"
  default_x509_svid_ttl = "${spec.ttl.x509Svid}"
  default_jwt_svid_ttl = "${spec.ttl.jwtSvid}"
  ttl_lattice = "enforce"
  admin_ids = ["${boot.adminId}"]
  ca_subject { country = ["US"] organization = ["SPIFFE"] common_name = "${boot.name}" }
  ratelimit { attestation = ${boot.substrate.image === '' ? 'true' : 'false'} }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "\\\${DATABASE_URL}" } }
  KeyManager "disk" { plugin_data { keys_path = "$ROOT/var/lib/spire/server/keys.json" } }
${nodeAttestors(boot)
  .map((line) => `  ${line}`)
  .join('\n')}
${upstreamAuthority(boot)}}
health_checks {
  listener_enabled = true
  bind_address = "$ADDRESS"
  bind_port = "${healthPort}"
}
`;
}

function upstreamAuthority({ upstream, authoritySecrets }: ServerBoot): string {
  if (upstream !== undefined)
    return `  UpstreamAuthority "spire" { plugin_data { server_address = "${upstream.address}" server_port = "${serverPort}" workload_api_socket = "${agentSocket}" } }\n`;
  if (authoritySecrets === undefined) return '';
  const [certificate, key, bundle] = authorityParts.map((part) => `${authorityDirectory}/${part}.pem`);
  return `  UpstreamAuthority "disk" { plugin_data { cert_file_path = "${certificate}" key_file_path = "${key}" bundle_file_path = "${bundle}" } }\n`;
}

function nodeAttestors(boot: ServerBoot): string[] {
  const regions = Object.keys(boot.substrate.awsRegionCertificates);
  const certificates = regions.map((region) => `"${region}" = "$ROOT/etc/spire/server/aws-${region}.pem"`).join(' ');
  const webIdentity =
    boot.awsRoleArn === undefined ? '' : `web_identity { role_arn = "${boot.awsRoleArn}" audience = "espalier" }`;
  const lines = {
    aws_iid: `NodeAttestor "aws_iid" { plugin_data { ${regions.length === 0 ? '' : `region_certificates { ${certificates} } `}${webIdentity} } }`,
    gcp_iit: `NodeAttestor "gcp_iit" { plugin_data { projectid_allow_list = ["${boot.substrate.gcpProject}"]${boot.substrate.gcpCertificatesUrl === undefined ? '' : ` certificates_url = "${boot.substrate.gcpCertificatesUrl}"`} } }`,
  };
  return [
    ...boot.attestors.map((attestor) => lines[attestor]),
    ...(boot.worker === undefined ? [] : [`NodeAttestor "x509pop" { plugin_data { ${authorities(boot)} } }`]),
  ];
}

/** A server has one x509pop, for whoever shows a certificate. */
function authorities({ clusterNodes }: ServerBoot): string {
  return clusterNodes === undefined
    ? `ca_bundle_path = "${workerCaFile}"`
    : `ca_bundle_paths = ["${workerCaFile}", "${clusterNodesFile}"]`;
}
