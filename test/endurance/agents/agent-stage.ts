// Two servers of one trust domain that know nothing of each other, one at a time on the same port, and what nodes prove themselves by.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { fingerprint } from '../../../runtime/attest/x509pop/possession.ts';
import { createEnterpriseRoot } from '../../support/enterprise-ca.ts';
import { startPostgres } from '../../support/postgres-server.ts';
import { startTierServer } from '../tiers/tier-server.ts';
import type { TierServer } from '../tiers/tier-server.ts';
import { ensureDatabase, freePort } from '../tiers/tiers.ts';

/** Agents renew at half of it: soon enough to wait for, and long enough to be killed and started in. */
const shortLife = 'agent_ttl = "16s"';

export type AgentStage = Awaited<ReturnType<typeof openAgentStage>>;

/** `settings`: more lines of the servers' sections. */
export async function openAgentStage(settings = shortLife) {
  const directory = mkdtempSync('/tmp/espalier-agents-');
  const postgres = await startPostgres();
  const port = await freePort();
  const manufacturer = createEnterpriseRoot('Manufacturer');
  const caPath = join(directory, 'manufacturer.pem');
  writeFileSync(caPath, manufacturer.certificatePem);
  const plugins = `NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "${caPath}" } }`;
  const start = async (name: string): Promise<TierServer> =>
    startTierServer({
      directory,
      name,
      port,
      databaseUrl: await ensureDatabase(postgres.url, name),
      settings,
      plugins,
    });
  const running = new Map<string, TierServer>();
  let current = '';
  let nodes = 0;

  const change = async (name: 'first' | 'other'): Promise<TierServer> => {
    const known = running.get(name);
    if (name === current && known !== undefined) return known;
    await running.get(current)?.kill();
    current = name;
    if (known === undefined) running.set(name, await start(name));
    else await known.restart();
    return running.get(name)!;
  };

  return {
    port,
    postgres,
    server: () => running.get(current)!,
    /** The one that answers from now on. */
    change,
    async bundlePem(): Promise<string> {
      const { x509Authorities } = await running.get(current)!.bundle.getBundle({ outputMask: undefined });
      return certificatesToPem(x509Authorities.map(({ asn1 }) => asn1));
    },
    /** A directory, a certificate of the manufacturer's, and the path of the agent that it makes. */
    createNode() {
      nodes += 1;
      const own = mkdtempSync(join(directory, `node-${nodes}-`));
      const { certificatePem, keyPem, der } = manufacturer.issue(`node-${nodes}`, { isCa: false });
      const [certificatePath, keyPath] = [join(own, 'node.pem'), join(own, 'node.key')];
      writeFileSync(certificatePath, certificatePem);
      writeFileSync(keyPath, keyPem, { mode: 0o600 });
      const attestor = `NodeAttestor "x509pop" { plugin_data { certificate_path = "${certificatePath}" private_key_path = "${keyPath}" } }`;
      return { directory: own, attestor, agentPath: `/spire/agent/x509pop/${fingerprint(der)}` };
    },
    async createToken(): Promise<string> {
      const { value } = await running.get(current)!.agent.createJoinToken({ ttl: 600, token: '', agentId: undefined });
      return value;
    },
    /** This process, behind that agent. */
    async createWorkload(agentPath: string, path = workloadPath(agentPath)): Promise<string> {
      const id = (path: string) => ({ trustDomain: 'example.org', path });
      const entry = Entry.create({
        parentId: id(agentPath),
        spiffeId: id(path),
        selectors: [{ type: 'unix', value: `uid:${process.getuid?.() ?? 0}` }],
      });
      const { results } = await running
        .get(current)!
        .entry.batchCreateEntry({ entries: [entry], outputMask: undefined });
      const [{ status, entry: made } = {}] = results;
      if (status?.code !== 0 || made === undefined) throw new Error(`entry not created: ${status?.message ?? ''}`);
      return made.id;
    },
    workloadOf: (agentPath: string) => `spiffe://example.org${workloadPath(agentPath)}`,
    async close(): Promise<void> {
      for (const server of running.values()) await server.stop();
      await postgres.remove();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function workloadPath(agentPath: string): string {
  return `/workload${agentPath.slice(agentPath.lastIndexOf('/'))}`;
}
