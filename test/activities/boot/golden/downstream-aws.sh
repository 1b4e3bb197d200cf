#!/bin/sh
# downstream SPIRE server aws-server-0 of example.org. Written by Espalier; safe to run at every boot.
set -eu
umask 022
ROOT=${ESPALIER_ROOT:-}
RUN=${ESPALIER_RUN:-/run}
IMAGE=${ESPALIER_IMAGE:-}
DIGEST='abababababababababababababababababababababababababababababababab'
HERE=$ROOT/opt/espalier/$DIGEST
# Compiled code is kept between starts, on this machine only.
export NODE_COMPILE_CACHE=$ROOT/var/cache/espalier
say() { echo "espalier: $*"; }

download() {
  if command -v curl >/dev/null 2>&1; then curl -fsS --retry 30 --retry-delay 1 --retry-connrefused -o "$2" "$1"; else wget -q -t 30 -O "$2" "$1"; fi
}

# The runtime comes as one archive that is taken only if its digest is the one named here.
if [ ! -e "$HERE/.complete" ]; then
  mkdir -p "$ROOT/opt/espalier"
  download 'http://127.0.0.1:1/espalier.tar.gz' "$HERE.tar.gz"
  echo "$DIGEST  $HERE.tar.gz" | sha256sum -c - >/dev/null || { say "the runtime archive's digest is not $DIGEST"; exit 1; }
  rm -rf "$HERE.unpacked"
  mkdir -p "$HERE.unpacked"
  tar -xzf "$HERE.tar.gz" -C "$HERE.unpacked"
  rm -f "$HERE.tar.gz"
  touch "$HERE.unpacked/.complete"
  mv "$HERE.unpacked" "$HERE"
fi
ln -sfn "$HERE" "$ROOT/opt/espalier/current"
NODE=$HERE/node/bin/node
ADDRESS=$("$HERE/bin/espalier-node" address --cloud aws)
say "running at $ADDRESS with runtime $DIGEST"

# A program of its own path for each identity on this machine: the path is what attests it. Never replaced while it may run.
program() {
  [ -e "$1" ] && return 0
  mkdir -p "$(dirname "$1")"
  ln "$NODE" "$1" 2>/dev/null || [ -e "$1" ] || cp "$NODE" "$1"
}


mkdir -p "$(dirname "$ROOT/etc/spire/agent/bundle.pem")"
cat > "$ROOT/etc/spire/agent/bundle.pem.new" <<'END_OF_FILE'
-----BEGIN CERTIFICATE-----
rootofexampleorg
-----END CERTIFICATE-----
END_OF_FILE
chmod 0644 "$ROOT/etc/spire/agent/bundle.pem.new"
mv -f "$ROOT/etc/spire/agent/bundle.pem.new" "$ROOT/etc/spire/agent/bundle.pem"
mkdir -p "$(dirname "$ROOT/etc/spire/agent/agent.conf")"
cat > "$ROOT/etc/spire/agent/agent.conf.new" <<END_OF_FILE
agent {
  data_dir = "$ROOT/var/lib/spire/agent"
  log_level = "info"
  trust_domain = "example.org"
  server_address = "127.77.2.1"
  server_port = 8081
  socket_path = "$RUN/spire-agent/public/api.sock"
  trust_bundle_path = "$ROOT/etc/spire/agent/bundle.pem"
}
plugins {
  NodeAttestor "aws_iid" { plugin_data {} }
  KeyManager "disk" { plugin_data { directory = "$ROOT/var/lib/spire/agent" } }
  WorkloadAttestor "unix" { plugin_data { discover_workload_path = true } }
}
END_OF_FILE
chmod 0644 "$ROOT/etc/spire/agent/agent.conf.new"
mv -f "$ROOT/etc/spire/agent/agent.conf.new" "$ROOT/etc/spire/agent/agent.conf"
mkdir -p "$ROOT/var/lib/spire/agent" "$RUN/spire-agent/public"
chmod 0700 "$ROOT/var/lib/spire/agent"
program "$IMAGE/opt/espalier/bin/spire-agent"
mkdir -p "$(dirname "$ROOT/etc/systemd/system/spire-agent.service")"
cat > "$ROOT/etc/systemd/system/spire-agent.service.new" <<END_OF_FILE
[Unit]
Description=SPIRE agent, configuration 16f73fdd
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0
[Service]
Type=simple
Environment="NODE_COMPILE_CACHE=$NODE_COMPILE_CACHE"
ExecStart=$IMAGE/opt/espalier/bin/spire-agent $HERE/runtime/agent/cli/main.ts run -config $ROOT/etc/spire/agent/agent.conf
Restart=always
RestartSec=1
TimeoutStopSec=30
UMask=0077
StateDirectory=spire/agent
StateDirectoryMode=0700
CacheDirectory=espalier
RuntimeDirectory=spire-agent spire-agent/public
RuntimeDirectoryPreserve=yes
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
PrivateDevices=yes
CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH
AmbientCapabilities=
NoNewPrivileges=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
[Install]
WantedBy=multi-user.target
END_OF_FILE
chmod 0644 "$ROOT/etc/systemd/system/spire-agent.service.new"
mv -f "$ROOT/etc/systemd/system/spire-agent.service.new" "$ROOT/etc/systemd/system/spire-agent.service"
systemctl daemon-reload
systemctl enable spire-agent
systemctl restart spire-agent
say "spire-agent started"

mkdir -p "$(dirname "$ROOT/etc/spire/server/aws-us-east-1.pem")"
cat > "$ROOT/etc/spire/server/aws-us-east-1.pem.new" <<'END_OF_FILE'
-----BEGIN CERTIFICATE-----
regionofaws
-----END CERTIFICATE-----
END_OF_FILE
chmod 0644 "$ROOT/etc/spire/server/aws-us-east-1.pem.new"
mv -f "$ROOT/etc/spire/server/aws-us-east-1.pem.new" "$ROOT/etc/spire/server/aws-us-east-1.pem"

mkdir -p "$(dirname "$ROOT/etc/spire/server/server.conf")"
cat > "$ROOT/etc/spire/server/server.conf.new" <<END_OF_FILE
server {
  bind_address = "$ADDRESS"
  bind_port = 8081
  socket_path = "$RUN/spire-server/private/api.sock"
  trust_domain = "example.org"
  data_dir = "$ROOT/var/lib/spire/server"
  log_level = "info"
  ca_key_type = "ec-p256"
  ca_ttl = "12h"
  default_x509_svid_ttl = "1h"
  default_jwt_svid_ttl = "5m"
  ttl_lattice = "enforce"
  admin_ids = ["spiffe://example.org/prod/onprem/platform/temporal-worker"]
  ca_subject { country = ["US"] organization = ["SPIFFE"] common_name = "aws-server-0" }
  ratelimit { attestation = false }
}
plugins {
  DataStore "sql" { plugin_data { database_type = "postgres" connection_string = "\${DATABASE_URL}" } }
  KeyManager "disk" { plugin_data { keys_path = "$ROOT/var/lib/spire/server/keys.json" } }
  NodeAttestor "aws_iid" { plugin_data { region_certificates { "us-east-1" = "$ROOT/etc/spire/server/aws-us-east-1.pem" }  } }
  UpstreamAuthority "spire" { plugin_data { server_address = "127.77.2.1" server_port = "8081" workload_api_socket = "$RUN/spire-agent/public/api.sock" } }
}
health_checks {
  listener_enabled = true
  bind_address = "$ADDRESS"
  bind_port = "8080"
}
END_OF_FILE
chmod 0644 "$ROOT/etc/spire/server/server.conf.new"
mv -f "$ROOT/etc/spire/server/server.conf.new" "$ROOT/etc/spire/server/server.conf"

mkdir -p "$ROOT/var/lib/spire/server" "$RUN/spire-server/private"
chmod 0700 "$ROOT/var/lib/spire/server" "$RUN/spire-server/private"
# The database's address is a secret: read by this instance's own role, never part of this script.
"$HERE/bin/espalier-node" secret --cloud aws --name 'espalier-bfabc374-aws-database' --file "$ROOT/etc/spire/server/database.env"
program "$IMAGE/opt/espalier/bin/spire-server"

mkdir -p "$(dirname "$ROOT/etc/systemd/system/spire-server.service")"
cat > "$ROOT/etc/systemd/system/spire-server.service.new" <<END_OF_FILE
[Unit]
Description=SPIRE server
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0
[Service]
Type=simple
Environment="NODE_COMPILE_CACHE=$NODE_COMPILE_CACHE"
EnvironmentFile=$ROOT/etc/spire/server/database.env
ExecStart=$IMAGE/opt/espalier/bin/spire-server $HERE/runtime/server/cli/main.ts run -expandEnv -config $ROOT/etc/spire/server/server.conf
Restart=always
RestartSec=1
TimeoutStopSec=30
UMask=0077
StateDirectory=spire/server
StateDirectoryMode=0700
CacheDirectory=espalier
RuntimeDirectory=spire-server spire-server/private
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
[Install]
WantedBy=multi-user.target
END_OF_FILE
chmod 0644 "$ROOT/etc/systemd/system/spire-server.service.new"
mv -f "$ROOT/etc/systemd/system/spire-server.service.new" "$ROOT/etc/systemd/system/spire-server.service"
systemctl daemon-reload
systemctl enable spire-server
systemctl restart spire-server

say "spire-server started"

