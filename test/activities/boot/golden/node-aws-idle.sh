#!/bin/sh
# workload node aws-node-1 of example.org. Written by Espalier; safe to run at every boot.
set -eu
umask 022

ROOT=${ESPALIER_ROOT:-}
RUN=${ESPALIER_RUN:-/run}
KEPT=$ROOT/opt/espalier/agent
if [ ! -e "$KEPT/current.sh" ]; then
mkdir -p "$(dirname "$ROOT/opt/espalier/agent/current.sh")"
cat > "$ROOT/opt/espalier/agent/current.sh.new" <<'END_OF_AGENT'
#!/bin/sh
# agent of example.org. Written by Espalier; safe to run at every boot.
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
  server_address = "127.77.2.2"
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
Description=SPIRE agent, configuration 685a68f3
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
END_OF_AGENT
chmod 0644 "$ROOT/opt/espalier/agent/current.sh.new"
mv -f "$ROOT/opt/espalier/agent/current.sh.new" "$ROOT/opt/espalier/agent/current.sh"
fi
sh "$KEPT/current.sh"

