// The rules of a compatible agent, as test/rules.ts has the server's: its sockets, its delegates, its reaction to refusals, its caches, what of the
// server's answers it believes, and its workload attestors.
import type { RuleRow } from './rules.ts';

const agent = (rule: string, code: string, tests: string, words: string): RuleRow => [
  rule,
  `runtime/agent/${code}.ts`,
  `test/runtime/agent/${tests}.test.ts`,
  words,
];
const workload = (rule: string, code: string, tests: string, words: string): RuleRow => [
  rule,
  `runtime/attest/workload/${code}.ts`,
  `test/runtime/attest/workload/${tests}.test.ts`,
  words,
];

/** §3.4: who may call what on the agent's sockets. */
const sockets: readonly RuleRow[] = [
  agent('the security header stands once and is true', 'workload-api/service', 'workload-api', 'workload.spiffe.io'),
  agent('the Workload API is everybody’s, 0777', 'workload-api/endpoint', 'admin/operators', 'toBe(0o777)'),
  agent('the admin socket is its group’s, 0770', 'admin/endpoint', 'admin/operators', 'toBe(0o770)'),
  agent('SDS is not served where it is switched off', 'workload-api/endpoint', 'config', 'may serve neither'),
  agent('no identity: no identity issued', 'workload-api/admission', 'workload-api', 'refuses a process that no entry'),
  agent('SDS: no identity', 'sds/service', 'sds/service', 'refuses a process that no entry matches'),
  agent('SDS: another’s names', 'sds/resources', 'sds/service', 'refuses names that are not the workload’s'),
  agent('attestation that fails is UNAVAILABLE', 'workload-api/caller', 'caller', 'is refused when all attestors fail'),
  agent('one attestor is enough', 'workload-api/caller', 'caller', 'is still known when some attestors fail'),
  agent(
    'an attestor that hangs holds up nobody',
    'workload-api/caller',
    'caller',
    'is still known when an attestor hangs',
  ),
  agent(
    'a pid that went to another process before',
    'workload-api/caller',
    'caller',
    'its pid went to another process',
  ),
  agent('a pid that goes during attestation', 'workload-api/caller', 'caller', 'its pid goes to another process'),
  agent('another user than connected', 'workload-api/caller', 'caller', 'belongs to another user than the one'),
  agent('another group than connected', 'workload-api/caller', 'caller', 'has another group than the one'),
  agent('a caller over TCP', 'workload-api/caller', 'caller', 'is refused over TCP'),
  agent(
    'calls are limited by the set of selectors',
    'workload-api/rate-limit',
    'rate-limit',
    'by the set of its selectors',
  ),
  agent('the agent itself is not limited', 'workload-api/rate-limit', 'rate-limit', 'if it is the agent itself'),
  agent('a delegate has an identity', 'admin/delegates', 'admin/delegated-identity', '%s: without an identity'),
  agent(
    'a delegate is listed',
    'admin/delegates',
    'admin/delegated-identity',
    'with an identity that is no delegate’s',
  ),
  agent('a delegate that is none any more', 'admin/delegates', 'admin/delegated-identity', 'once it is no delegate'),
  agent('a delegate names a pid or selectors', 'admin/delegated-identity', 'admin/delegated-identity', 'but not both'),
  agent(
    'admins and downstream servers are not delegated',
    'admin/delegated-identity',
    'admin/delegated-identity',
    'no X.509-SVIDs of admins and of downstream servers',
  ),
];

/** §3.4, §3.10: what a refusal and a restart lead to. */
const life: readonly RuleRow[] = [
  ...['AGENT_EXPIRED', 'AGENT_NOT_ATTESTED', 'AGENT_NOT_ACTIVE', 'AGENT_MUST_REATTEST'].map((reason) =>
    agent(`${reason}: attest again, or stop without the SVID`, 'sync/synchronizer', 'identity', `'${reason}'`),
  ),
  agent('AGENT_BANNED: stop for good', 'sync/synchronizer', 'identity', 'AGENT_BANNED stops the agent for good'),
  agent('a restart goes on with a good SVID', 'node/identity', 'identity', 'lets an agent go on without attesting'),
  agent('a restart without the key attests', 'node/identity', 'identity', 'without its key leads to a new attestation'),
  agent(
    'a restart with an ended SVID attests',
    'node/identity',
    'identity',
    'that has ended leads to a new attestation',
  ),
  agent(
    'an SVID without a bundle: by the configured one, never by none',
    'node/recover-svid',
    'data-directory',
    'where insecure_bootstrap would have any server trusted',
  ),
  agent(
    'state that is damaged is not overwritten',
    'state/agent-data',
    'data-directory',
    'is refused by name, with the way out, and left as it was',
  ),
  agent('an SVID of another trust domain', 'node/recover-svid', 'data-directory', 'an SVID of another trust domain'),
  agent('a server of other roots, after the delay', 'node/bootstrapping', 'rebootstrap', 'is ignored for the delay'),
  agent(
    'rebootstrapping: only where the node can attest again',
    'node/bootstrapping',
    'rebootstrap',
    'is refused where rebootstrapping is wanted always',
  ),
  agent('SPI-01-002: keys are the owner’s alone', 'state/private-file', 'identity', 'is readable by the owner alone'),
  agent('renewal at half life, jittered', 'rotation', 'rotation', 'renewal'),
  agent(
    'availability_target: never under 12 h',
    'rotation',
    'rotation',
    'ignores a target that leaves 12 hours or less',
  ),
  agent('the pause after failures grows', 'sync/sync-loop', 'sync-loop', 'half as long again after each failure'),
  agent(
    'a tainted authority: all under it anew',
    'sync/synchronizer',
    'workload-api',
    'replaces an SVID whose authority %s',
  ),
  agent('a server of another root', 'node/trust', 'identity', 'refuses a server of another root'),
];

/** §3.10: what is kept for workloads, and which of the server's answers are believed. */
const caches: readonly RuleRow[] = [
  agent(
    'X.509: somebody who waits is never starved',
    'cache/svid-cache',
    'svid-cache',
    'unless somebody waits for them',
  ),
  agent(
    'X.509: what ends leaves open streams',
    'cache/svid-cache',
    'svid-cache',
    'loses what ends, though there is no other',
  ),
  agent('X.509: what has ended is not served', 'cache/svid-cache', 'svid-cache', 'has no SVID that has ended'),
  agent(
    'an entry that goes ends its stream',
    'workload-api/service',
    'workload-api',
    'ends a stream whose last identity',
  ),
  agent('JWT: a hard limit, the oldest goes', 'cache/jwt-svids', 'jwt-svids', 'as many as may be'),
  agent('JWT: anew at half life', 'cache/jwt-svids', 'jwt-svids', 'until half of its life is over'),
  agent(
    'JWT: served while the server is away',
    'cache/jwt-svids',
    'jwt-svids',
    'while the server is away, until it ends',
  ),
  agent('JWT: audiences in any order', 'cache/jwt-svids', 'jwt-svids', 'for the same audiences in any order'),
  agent('JWT: tainted ones go', 'cache/jwt-svids', 'jwt-svids', 'none whose key is tainted'),
  agent('a batch is halved and doubled', 'sync/sign-svids', 'sign-svids', 'is halved with each failure'),
  agent('an SVID of another ID', 'cache/workload-svid', 'sign-svids', 'of another ID'),
  agent('an SVID for another key', 'cache/workload-svid', 'sign-svids', 'for another key'),
  agent('an SVID that is no certificate', 'cache/workload-svid', 'sign-svids', 'that is none'),
  agent('a malformed entry', 'sync/entry', 'sync-entries', 'a malformed entry does not keep the others'),
  agent('a JWT-SVID that has ended already', 'cache/jwt-svids', 'jwt-svids', 'one that has ended'),
];

/** §3.11: when a workload attestor says nothing. */
const attestors: readonly RuleRow[] = [
  workload('unix: no path unless asked for', 'unix', 'unix', 'is not looked at unless that is asked for'),
  workload('unix: a program above the size limit', 'unix', 'unix', 'that exceeds the size limit fails'),
  workload('unix: no digest below a limit of 0', 'unix', 'unix', 'has no digest with a size limit below 0'),
  workload('the start time stands after the last )', 'process', 'unix', 'may have parentheses and blanks in its name'),
  workload('unix: a process that is gone', 'process', 'unix', 'that does not exist fails'),
  workload('systemd: no bus', 'systemd/bus', 'systemd/systemd', 'without a bus'),
  workload('systemd: no unit', 'systemd/systemd', 'systemd/systemd', 'for a process that belongs to no unit'),
  workload(
    'systemd: a property that cannot be read',
    'systemd/systemd',
    'systemd/systemd',
    'where a property cannot be',
  ),
  workload('docker: no container', 'docker/docker', 'docker/docker', 'a process in no container'),
  workload('docker: groups that name two', 'container-locator', 'docker/docker', 'where the groups name two'),
  workload(
    'docker: an engine that is silent',
    'docker/engine',
    'docker/docker',
    'where the engine does not answer in time',
  ),
  workload('docker: an engine that stays busy', 'docker/engine', 'docker/docker', 'where the engine stays busy'),
  workload('k8s: a container that no pod has', 'k8s/k8s', 'k8s/k8s', 'for a container that no pod has'),
  workload('k8s: a pod that was made up', 'k8s/pod-container', 'k8s/k8s', 'that a container made up'),
  workload('k8s: one container in two pods', 'k8s/k8s', 'k8s/k8s', 'where two pods have the container'),
  workload('k8s: below the slice of a user', 'k8s/k8s', 'k8s/k8s', 'below the slice of a user'),
  workload('k8s: a pod that is late', 'k8s/pod-list', 'k8s/k8s', 'is waited for, and so is its container'),
  workload('k8s: another kubelet', 'k8s/kubelet', 'k8s/k8s', 'is not believed by another CA'),
  workload('k8s: sigstore is refused by name', 'k8s/config', 'k8s/k8s', 'sigstore'),
  workload('docker: sigstore is refused by name', 'docker/config', 'docker/docker', 'sigstore'),
];

export const agentRules: readonly RuleRow[] = [...sockets, ...life, ...caches, ...attestors];
