// What `up` says when the trust domain stands: on the terminal for people, in `.espalier/summary.json` for programs. The file's shape is a
// documented interface (README); its sockets are for people and tests on this machine, nothing in Espalier uses them.
import { renameSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import type { TrustDomainReport } from '../../workflows/verify-trust-domain.ts';
import type { Temporal } from './temporal.ts';

/** Where the lab keeps a machine's sockets, by the machine's address. */
export type MachineRuns = ReadonlyMap<string, string>;

const machinesSchema = z.array(z.object({ address: z.string(), run: z.string() }));
const serverPort = 8081;

/** Asks the lab; nothing on a real cloud, whose machines are elsewhere. */
export async function findMachineRuns(lab: { endpoint: string; token: string } | undefined): Promise<MachineRuns> {
  if (lab === undefined) return new Map();
  const response = await fetch(`${lab.endpoint}/lab/machines`, {
    headers: { authorization: `Bearer ${lab.token}` },
    signal: AbortSignal.timeout(10_000),
  });
  if (!response.ok) throw new Error(`lab: GET /lab/machines: HTTP ${response.status}`);
  return new Map(machinesSchema.parse(await response.json()).map(({ address, run }) => [address, run]));
}

export interface SummaryInput {
  readonly report: TrustDomainReport;
  readonly workflowId: string;
  readonly temporal: Pick<Temporal, 'address' | 'namespace' | 'ui'>;
  readonly runs: MachineRuns;
}

export function writeSummary(file: string, { report, workflowId, temporal, runs }: SummaryInput): void {
  const { trustDomain, servers, agents, workloads } = report;
  const socketOf = (address: string, path: string) => ({ run: runs.get(address), path });
  const summary = {
    trustDomain,
    workflowId,
    temporal: { address: temporal.address, namespace: temporal.namespace, ui: temporal.ui ?? null },
    servers: servers.map(({ name, role, address }) => ({
      name,
      role,
      address: `${address}:${serverPort}`,
      adminSocket: join(socketOf(address, '/spire-server/private/api.sock')),
    })),
    agents: agents.map(({ name, segment, agentId, address }) => ({
      name,
      segment,
      spiffeId: agentId,
      workloadApiSocket: join(socketOf(address, '/spire-agent/public/api.sock')),
    })),
    workloads: workloads.map(({ spiffeId, agent }) => ({ spiffeId, agent })),
  };
  writeFileSync(`${file}.new`, `${JSON.stringify(summary, undefined, 2)}\n`);
  renameSync(`${file}.new`, file);
}

function join({ run, path }: { run: string | undefined; path: string }): string | null {
  return run === undefined ? null : `${run}${path}`;
}

/** The chains, the proof, and what to type next. */
export function describeReport(
  report: TrustDomainReport,
  temporal: Pick<Temporal, 'address' | 'ui'>,
  workflowId: string,
): string {
  const chains = report.workloads.flatMap(({ spiffeId, agent, chain }) => [
    `${spiffeId} on ${agent}`,
    ...chain.map(({ subject, notAfter, sha256 }, index) => {
      const kind = index === 0 ? 'leaf' : index === chain.length - 1 ? 'root' : 'intermediate';
      return `    ${kind.padEnd(12)} sha256:${sha256.slice(0, 16)}  until ${notAfter}  ${subject}`;
    }),
  ]);
  const proofs = report.handshakes.map(({ from, to }) => `    ${from} -> ${to}: each saw the other`);
  const refusals = report.refusals.map(({ workload, refused }) => `    ${workload} refused ${refused}`);
  return [
    `Trust domain ${report.trustDomain} stands.`,
    '',
    ...chains,
    '',
    'mTLS, as both workloads report it:',
    ...proofs,
    ...refusals,
    '',
    ...(temporal.ui === undefined ? [] : [`Temporal UI:  ${temporal.ui}`]),
    `Progress:     temporal workflow query --address ${temporal.address} --workflow-id ${workflowId} --type progress`,
    `Verify again: temporal workflow start --address ${temporal.address} --task-queue control --type verifyTrustDomain --input '{"spec": …}'`,
    'Take it away: npm run down',
    '',
  ].join('\n');
}
