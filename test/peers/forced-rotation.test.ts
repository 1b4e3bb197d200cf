// SPIRE's agent lives through a forced rotation of our server's root, each step of which is asked of another server on the same database.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseCertificate } from '../../runtime/pki/certificate.ts';
import { verifyX509Svid } from '../../runtime/pki/x509-svid.ts';
import { x509AuthorityId } from '../../runtime/server/store/bundle-changes.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { createWorkloadApi, createX509Source } from '../../runtime/workloadapi/index.ts';
import type { WorkloadApi, X509Source } from '../../runtime/workloadapi/index.ts';
import { createTestDatabase } from '../support/postgres.ts';
import type { TestDatabase } from '../support/postgres.ts';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { eventually } from './support/processes.ts';
import { prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const trustDomain = parseTrustDomain('example.org');
const stage = createStage();
let database: TestDatabase;
let owner: SpireServer;
let other: SpireServer;
let agent: SpireAgent;
let api: WorkloadApi;
let source: X509Source;

beforeAll(async () => {
  const command = await prepareSpireAgent();
  database = await createTestDatabase();
  owner = await stage.server({ name: 'owner', database });
  other = await stage.server({ name: 'other', database });
  await owner.createEntry({
    parentId: nodeIdOf('node'),
    spiffeId: 'spiffe://example.org/prod/onprem/demo/w',
    selectors: [ownUid],
  });
  agent = await stage.agent({ name: 'node', server: owner, command });
  api = createWorkloadApi({ socketPath: agent.socketPath });
  source = await createX509Source({ api });
});
afterAll(async () => {
  source.close();
  api.close();
  await stage.strike();
  await database.drop();
});

const roots = (): string[] => source.bundle(trustDomain).x509Authorities.map(x509AuthorityId);
const signerOf = (): string => Buffer.from(parseCertificate(source.svid().chain[0]!).authorityKeyId!).toString('hex');

it('SPIRE’s agent follows each step, and its workload’s SVID verifies at every moment', async () => {
  const failures: unknown[] = [];
  source.onUpdate(() => {
    try {
      const bundle = source.bundle(trustDomain).x509Authorities.map(({ asn1 }) => asn1);
      verifyX509Svid({ chain: source.svid().chain, roots: bundle, now: Date.now(), trustDomain });
    } catch (error) {
      failures.push(error);
    }
  });
  const ask = async (server: SpireServer, ...words: string[]) =>
    JSON.parse(await server.operate('localauthority', 'x509', ...words, '-output', 'json')) as Record<
      string,
      { authority_id: string }
    >;
  const first = (await ask(owner, 'show'))['active']!.authority_id;
  const second = (await ask(owner, 'prepare'))['prepared_authority']!.authority_id;
  await eventually('the new root', async () => expect(roots()).toContain(second));
  await ask(other, 'activate', '-authorityID', second);
  await ask(other, 'taint', '-authorityID', first);
  expect(owner.log()).toContain('Server SVID signed using a tainted authority, forcing rotation of the Server SVID');
  await eventually('an SVID under the new root', async () => expect(signerOf()).toBe(second), 90_000);
  expect(agent.log()).toContain('New tainted X.509 authorities found');
  await eventually('the agent’s own SVID', async () =>
    expect(agent.log()).toContain('Agent SVID is tainted by a root authority, forcing rotation'),
  );
  await ask(other, 'revoke', '-authorityID', first);
  await eventually('the old root to be gone', async () => expect(roots()).not.toContain(first));
  agent.checkRunning();
  expect(failures).toEqual([]);
});
