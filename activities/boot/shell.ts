// Pieces of the boot scripts: POSIX sh, safe to run at every boot, nothing secret in them. On a real machine the three ESPALIER_ variables
// are unset and every path is the usual one.
import type { Artifact } from '../plan.ts';
import type { Cloud } from '../spec/trust-domain-spec.ts';

/** One word for sh, whatever is in it. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A file written with exactly this text; `$NAME` stays as it is unless `expand` is said. `end`: a line that is not in the text. */
export function writeFile(
  path: string,
  text: string,
  options: { mode?: string; expand?: boolean; end?: string } = {},
): string {
  const { mode = '0644', expand = false, end = 'END_OF_FILE' } = options;
  const marker = expand ? end : `'${end}'`;
  return [
    `mkdir -p "$(dirname "${path}")"`,
    `cat > "${path}.new" <<${marker}`,
    text.trimEnd(),
    end,
    `chmod ${mode} "${path}.new"`,
    `mv -f "${path}.new" "${path}"`,
  ].join('\n');
}

/** Sets the paths, and unpacks the runtime whose digest is known beforehand. */
export function prelude(description: string, cloud: Cloud, artifact: Artifact): string {
  return `#!/bin/sh
# ${description}. Written by Espalier; safe to run at every boot.
set -eu
umask 022
ROOT=\${ESPALIER_ROOT:-}
RUN=\${ESPALIER_RUN:-/run}
IMAGE=\${ESPALIER_IMAGE:-}
DIGEST=${quote(artifact.sha256)}
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
  download ${quote(artifact.url)} "$HERE.tar.gz"
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
ADDRESS=$("$HERE/bin/espalier-node" address --cloud ${cloud})
say "running at $ADDRESS with runtime $DIGEST"

# A program of its own path for each identity on this machine: the path is what attests it. Never replaced while it may run.
program() {
  [ -e "$1" ] && return 0
  mkdir -p "$(dirname "$1")"
  ln "$NODE" "$1" 2>/dev/null || [ -e "$1" ] || cp "$NODE" "$1"
}
`;
}

/** A systemd unit that is started now and at every boot. `ExecStart` and the environment may use the script's variables. */
export function startUnit(unit: {
  name: string;
  description: string;
  execStart: string;
  environment?: Readonly<Record<string, string>>;
}): string {
  const lines = [
    '[Unit]',
    `Description=${unit.description}`,
    'After=network-online.target',
    // What waits for its agent starts again for as long as that takes.
    'StartLimitIntervalSec=0',
    '[Service]',
    'Type=simple',
    'Environment="NODE_COMPILE_CACHE=$NODE_COMPILE_CACHE"',
    ...Object.entries(unit.environment ?? {}).map(([name, value]) => `Environment="${name}=${value}"`),
    `ExecStart=${unit.execStart}`,
    'Restart=always',
    'RestartSec=1',
    '[Install]',
    'WantedBy=multi-user.target',
  ];
  return `${writeFile(`$ROOT/etc/systemd/system/${unit.name}.service`, lines.join('\n'), { expand: true })}
${enableUnit(unit.name)}`;
}

export function enableUnit(name: string): string {
  return `systemctl daemon-reload
systemctl enable ${name}
systemctl restart ${name}`;
}
