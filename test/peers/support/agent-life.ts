// An agent's life on a server, where one of the two is SPIRE's: a join token, workloads, entries that come and go, renewal, a restart, and its ban.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesFromPem } from '../../../runtime/pki/pem.ts';
import { nodeIdOf } from './agent.ts';
import type { SpireAgent } from './agent.ts';
import { eventually } from './processes.ts';
import { prepareGoWorkload, preparePython } from './programs.ts';
import type { SpireServer } from './server.ts';
import { createStage } from './stage.ts';
import { fetchInGo, fetchInPython, ownUid } from './workloads.ts';

export interface Cast {
  /** Programs; ours where left out. */
  readonly serverCommand?: string;
  readonly agentCommand?: string;
}

interface ListedAgent {
  readonly attestation_type: string;
  readonly banned: boolean;
  readonly x509svid_serial_number: string;
}

const first = 'spiffe://example.org/prod/onprem/demo/first';
const second = 'spiffe://example.org/prod/onprem/demo/second';

/** Defines the tests; `prepare` is asked when they run. */
export function describeAgentLife(title: string, prepare: () => Promise<Cast>): void {
  describe(title, () => {
    const stage = createStage();
    let python: string;
    let go: string;
    let server: SpireServer;
    let agent: SpireAgent;

    beforeAll(async () => {
      python = await preparePython();
      go = await prepareGoWorkload();
      const { serverCommand, agentCommand } = await prepare();
      // Agents renew at half of it.
      const settings = 'agent_ttl = "60s"';
      server = await stage.server({ name: 'server', settings, ...(serverCommand && { command: serverCommand }) });
      await server.createEntry({ parentId: nodeIdOf('node'), spiffeId: first, selectors: [ownUid] });
      agent = await stage.agent({ name: 'node', server, ...(agentCommand && { command: agentCommand }) });
    });
    afterAll(() => stage.strike());

    const askForJson = async (...words: readonly string[]): Promise<unknown> =>
      JSON.parse(await server.operate(...words, '-output', 'json'));
    const listAgents = async () => ((await askForJson('agent', 'list')) as { agents: ListedAgent[] }).agents;

    it('has attested with its join token', async () => {
      expect(await listAgents()).toMatchObject([{ attestation_type: 'join_token', banned: false }]);
    });

    it('serves a Python workload', async () => {
      const fetched = await fetchInPython(python, agent, 'reports');
      expect(fetched).toMatchObject({ id: first, jwtId: first, validatedId: first, jwtAudience: ['reports'] });
      expect(certificatesFromPem(fetched.bundle)).toEqual(certificatesFromPem(await server.bundlePem()));
    });

    it('serves a Go workload', async () => {
      const fetched = await fetchInGo(go, agent, 'reports');
      expect(fetched).toMatchObject({ id: first, verifiedId: first, jwtId: first, validatedId: first });
    });

    it('learns of an entry that is deleted, and of another that is made', async () => {
      const { entries } = (await askForJson('entry', 'show', '-spiffeID', first)) as { entries: { id: string }[] };
      await server.operate('entry', 'delete', '-entryID', entries[0]!.id);
      await server.createEntry({ parentId: agent.nodeId, spiffeId: second, selectors: [ownUid] });
      await eventually('the second ID', async () => expect((await fetchInGo(go, agent, 'reports')).id).toBe(second));
    });

    it('renews its own SVID', async () => {
      const [before] = await listAgents();
      const renewed = async () => {
        const [now] = await listAgents();
        expect(now!.x509svid_serial_number).not.toBe(before!.x509svid_serial_number);
      };
      await eventually('another serial number', renewed, 90_000);
      agent.checkRunning();
    });

    it('goes on with its own data after a restart', async () => {
      await agent.restart();
      expect((await fetchInGo(go, agent, 'reports')).id).toBe(second);
      expect(await listAgents()).toHaveLength(1);
    });

    it('ends when it is banned', async () => {
      const [, id] = /SPIFFE ID\s*: (\S+)/.exec(await server.operate('agent', 'list')) ?? [];
      await server.operate('agent', 'ban', '-spiffeID', id!);
      await eventually('its end', () => expect(() => agent.checkRunning()).toThrow(), 60_000);
      expect(await listAgents()).toMatchObject([{ banned: true }]);
    });
  });
}
