// What a segment's nodes run as their agent: runtime, configuration and bundle in one script, the same for all of them. A new node runs it when it boots; a
// running one gets it by its cloud's own means. It stays on the node's disk, so that what was put there last counts at the next boot, too.
import { digest } from '../cloud.ts';
import type { Artifact } from '../plan.ts';
import { agentSocket, bootAgent } from './agent.ts';
import type { AgentBoot } from './agent.ts';
import { prelude, writeFile } from './shell.ts';

export interface AgentRelease {
  /** SHA-256 of the script, hex: as long as it is the same, nodes have nothing to change. */
  readonly digest: string;
  readonly script: string;
}

/** On the node: `current.sh` is what runs, `previous.sh` what ran before it. */
const kept = '$ROOT/opt/espalier/agent';
const end = 'END_OF_AGENT';

export function agentRelease(boot: AgentBoot & { readonly artifact: Artifact }): AgentRelease {
  const text = `${prelude(`agent of ${boot.trustDomain}`, boot.cloud, boot.artifact)}\n\n${bootAgent(boot)}\n`;
  return { script: text, digest: digest(text) };
}

/** Of a boot script: the release that the node was made with, unless another one was put there since. */
export function startRelease({ script }: AgentRelease): string {
  return `${paths}
if [ ! -e "$KEPT/current.sh" ]; then
${writeFile(`${kept}/current.sh`, script, { end })}
fi
sh "$KEPT/current.sh"`;
}

/** A whole script for a node that runs: it ends with 0 when the new agent is healthy, else with the agent back that was there. */
export function applyRelease({ script }: AgentRelease): string {
  return `${opening}
${writeFile(`${kept}/next.sh`, script, { end })}
if cmp -s "$KEPT/next.sh" "$KEPT/current.sh"; then
  rm -f "$KEPT/next.sh"
  sh "$KEPT/current.sh" && serves || { say "the agent is not healthy"; exit 1; }
  tell_release
  exit 0
fi
if sh "$KEPT/next.sh" && serves; then
  [ ! -e "$KEPT/current.sh" ] || mv -f "$KEPT/current.sh" "$KEPT/previous.sh"
  mv -f "$KEPT/next.sh" "$KEPT/current.sh"
  tell_release
  exit 0
fi
say "the agent is not healthy with the new release"
mv -f "$KEPT/next.sh" "$KEPT/failed.sh"
if [ -e "$KEPT/current.sh" ]; then
  sh "$KEPT/current.sh" && serves && say "the agent is back with the release before" || say "the agent is not healthy with the release before either"
fi
exit 1
`;
}

/** The way back from that release, for a node that has it; any other is left alone. */
export function leaveRelease(releaseDigest: string): string {
  return `${opening}
if [ "$(sha256sum < "$KEPT/current.sh" | cut -c1-64)" != "${releaseDigest}" ]; then
  tell_release
  exit 0
fi
[ -e "$KEPT/previous.sh" ] || { say "there is no release before this one"; exit 1; }
sh "$KEPT/previous.sh" && serves || { say "the agent is not healthy with the release before"; exit 1; }
mv -f "$KEPT/current.sh" "$KEPT/undone.sh"
mv -f "$KEPT/previous.sh" "$KEPT/current.sh"
tell_release
`;
}

const paths = `ROOT=\${ESPALIER_ROOT:-}
RUN=\${ESPALIER_RUN:-/run}
KEPT=${kept}`;

const opening = `#!/bin/sh
# Puts another agent on a running node. Written by Espalier; safe to run again.
set -u
${paths}
say() { echo "espalier: $*"; }
tell_release() { say "the agent has release $(sha256sum < "$KEPT/current.sh" | cut -c1-64)"; }

# A minute for an agent to come to its server and answer its workloads.
serves() {
  tries=60
  while [ $tries -gt 0 ]; do
    "$ROOT/opt/espalier/current/bin/spire-agent" healthcheck -socketPath "${agentSocket}" >/dev/null 2>&1 && return 0
    tries=$((tries - 1))
    sleep 1
  done
  return 1
}
mkdir -p "$KEPT"`;
