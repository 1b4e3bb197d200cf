// SPIRE's own agent on our server: the same configuration file as ours, a join token, entries, renewal, a restart, and its end when it is banned.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesFromPem } from '../../runtime/pki/pem.ts';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { eventually } from './support/processes.ts';
import { prepareGoWorkload, preparePython, prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { fetchInGo, fetchInPython, ownUid } from './support/workloads.ts';

const first = 'spiffe://example.org/prod/onprem/demo/first';
const second = 'spiffe://example.org/prod/onprem/demo/second';
const stage = createStage();
let python: string;
let go: string;
let server: SpireServer;
let agent: SpireAgent;

beforeAll(async () => {
  python = await preparePython();
  go = await prepareGoWorkload();
  const command = await prepareSpireAgent();
  // Renewed at half of its life.
  server = await stage.server({ name: 'server', settings: 'agent_ttl = "60s"' });
  await server.createEntry({ parentId: nodeIdOf('node'), spiffeId: first, selectors: [ownUid] });
  agent = await stage.agent({ name: 'node', server, command });
});
afterAll(() => stage.strike());

interface ListedAgents {
  readonly agents: readonly {
    readonly attestation_type: string;
    readonly banned: boolean;
    readonly x509svid_serial_number: string;
  }[];
}
const listAgents = async () =>
  (JSON.parse(await server.operate('agent', 'list', '-output', 'json')) as ListedAgents).agents;

describe('SPIRE’s agent on our server', () => {
  it('has attested with its join token', async () => {
    expect(await listAgents()).toMatchObject([{ attestation_type: 'join_token', banned: false }]);
  });

  it('serves a Python workload', async () => {
    const fetched = await fetchInPython(python, agent, 'reports');
    expect(fetched).toMatchObject({ id: first, jwtId: first, validatedId: first, jwtAudience: ['reports'] });
    expect(certificatesFromPem(fetched.bundle)).toEqual(certificatesFromPem(await server.bundlePem()));
  });

  it('serves a Go workload', async () => {
    expect(await fetchInGo(go, agent, 'reports')).toMatchObject({
      id: first,
      verifiedId: first,
      jwtId: first,
      validatedId: first,
    });
  });

  it('learns of an entry that is deleted, and of another that is made', async () => {
    const { entries } = JSON.parse(await server.operate('entry', 'show', '-spiffeID', first, '-output', 'json')) as {
      entries: { id: string }[];
    };
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
    const ended = () => expect(() => agent.checkRunning()).toThrow();
    await eventually('its end', ended, 60_000);
    expect(await listAgents()).toMatchObject([{ banned: true }]);
  });
});
