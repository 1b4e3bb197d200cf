// SPIRE's agent on our server while trust changes under it: CAs that end by time, a forced rotation, eviction, a ban, and its way back.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCertificate } from '../../runtime/pki/certificate.ts';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { verifyX509Svid } from '../../runtime/pki/x509-svid.ts';
import { x509AuthorityId } from '../../runtime/server/store/bundle-changes.ts';
import { parseTrustDomain } from '../../runtime/spiffe/trust-domain.ts';
import { createWorkloadApi, createX509Source } from '../../runtime/workloadapi/index.ts';
import { createTestCa } from '../runtime/rpc/test-ca.ts';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { eventually } from './support/processes.ts';
import { prepareSpireAgent } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const trustDomain = parseTrustDomain('example.org');
const stage = createStage();
afterAll(() => stage.strike());

/** A key for x509pop and what the server calls its owner. */
function nodeKey(name: string) {
  const ca = createTestCa('nodes.test');
  const { certificate, certificateChainPem, privateKey } = ca.issue(`/${name}`);
  const write = (file: string, text: string): string => {
    const path = join(stage.directory, `${name}-${file}`);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const digest = createHash('sha1').update(certificate.der).digest('hex');
  return {
    rootPath: write('root.pem', certificatesToPem(ca.roots())),
    x509pop: {
      certificatePath: write('cert.pem', certificateChainPem),
      keyPath: write('key.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()),
      id: `spiffe://example.org/spire/agent/x509pop/${digest}`,
    },
  };
}

/** A workload on it, which notes each of its SVIDs that did not verify when it came. */
async function watch(agent: SpireAgent) {
  const api = createWorkloadApi({ socketPath: agent.socketPath });
  const source = await createX509Source({ api });
  const failures: unknown[] = [];
  const bundle = () => source.bundle(trustDomain).x509Authorities.map(({ asn1 }) => asn1);
  const verify = (): void => {
    verifyX509Svid({ chain: source.svid().chain, roots: bundle(), now: Date.now(), trustDomain });
  };
  source.onUpdate(() => {
    try {
      verify();
    } catch (error) {
      failures.push(error);
    }
  });
  return stage.add({
    failures,
    verify,
    bundle,
    roots: () => source.bundle(trustDomain).x509Authorities.map(x509AuthorityId),
    signer: () => Buffer.from(parseCertificate(source.svid().chain[0]!).authorityKeyId!).toString('hex'),
    stop() {
      source.close();
      api.close();
      return Promise.resolve();
    },
  });
}

interface Authorities {
  readonly active: { readonly authority_id: string };
  readonly prepared_authority: { readonly authority_id: string };
}
const authority = async (server: SpireServer, ...words: string[]): Promise<Authorities> =>
  JSON.parse(await server.operate('localauthority', 'x509', ...words, '-output', 'json')) as Authorities;

const entryOn = (server: SpireServer, parentId: string) =>
  server.createEntry({ parentId, spiffeId: `spiffe://example.org/prod/onprem/demo/w`, selectors: [ownUid] });

const ended = (agent: SpireAgent) =>
  eventually(`the end of ${agent.name}`, () => expect(() => agent.checkRunning()).toThrow(), 60_000);

let command: string;
let brief: { server: SpireServer; agent: SpireAgent; workload: Awaited<ReturnType<typeof watch>>; first: string };

// Its CA ends while the other tests run.
beforeAll(async () => {
  command = await prepareSpireAgent();
  const settings = 'agent_ttl = "20s"';
  const server = await stage.server({ name: 'brief', caTtl: '1m', svidTtl: '20s', settings });
  const first = (await authority(server, 'show')).active.authority_id;
  await entryOn(server, nodeIdOf('passing'));
  const agent = await stage.agent({ name: 'passing', server, command });
  brief = { server, agent, workload: await watch(agent), first };
});

describe('with CAs that last', () => {
  const { rootPath, x509pop } = nodeKey('pop');
  let server: SpireServer;
  let byToken: SpireAgent;
  let byKey: SpireAgent;

  beforeAll(async () => {
    const plugins = `NodeAttestor "x509pop" { plugin_data { ca_bundle_path = "${rootPath}" } }`;
    server = await stage.server({ name: 'lasting', plugins });
    await entryOn(server, nodeIdOf('token'));
    await entryOn(server, x509pop.id);
    byToken = await stage.agent({ name: 'token', server, command });
    byKey = await stage.agent({ name: 'key', server, command, x509pop });
  });

  const listed = async (): Promise<string[]> => {
    const { agents } = JSON.parse(await server.operate('agent', 'list', '-output', 'json')) as {
      agents: { attestation_type: string; banned: boolean }[];
    };
    return agents.map(({ attestation_type, banned }) => `${attestation_type}${banned ? ', banned' : ''}`).sort();
  };
  const idOf = async (type: string): Promise<string> => {
    const [, id] = new RegExp(`SPIFFE ID\\s*: (\\S+/${type}/\\S+)`).exec(await server.operate('agent', 'list')) ?? [];
    return id!;
  };

  it('goes on serving through a forced rotation, its own SVID under the new root', async () => {
    const workloads = await Promise.all([watch(byToken), watch(byKey)]);
    const first = (await authority(server, 'show')).active.authority_id;
    const second = (await authority(server, 'prepare')).prepared_authority.authority_id;
    await eventually('the new root', () => workloads.forEach((each) => expect(each.roots()).toContain(second)));
    await authority(server, 'activate', '-authorityID', second);
    await authority(server, 'taint', '-authorityID', first);
    const forced = 'Agent SVID is tainted by a root authority, forcing rotation';
    for (const agent of [byToken, byKey])
      await eventually(
        `the SVID of ${agent.name}`,
        () => expect(agent.log()).toMatch(new RegExp(`${forced}[^]*Successfully (rotated agent SVID|reattested node)`)),
        90_000,
      );
    const renewed = () => workloads.forEach((each) => expect(each.signer()).toBe(second));
    await eventually('SVIDs under the new root', renewed, 90_000);
    await authority(server, 'revoke', '-authorityID', first);
    const revoked = () => workloads.forEach((each) => expect(each.roots()).toEqual([second]));
    await eventually('the old root to be gone', revoked);
    // What SPIRE's own suites wait for.
    for (const line of [
      `msg="X509 CA prepared" .*local_authority_id=${second}`,
      `msg="X509 CA activated" .*local_authority_id=${second}`,
      'msg="Successfully rotated X.509 CA"',
      `msg="X.509 authority tainted successfully" local_authority_id=${first}`,
      `msg="X.509 authority revoked successfully" local_authority_id=${first}`,
    ])
      expect(server.log()).toMatch(new RegExp(line));
    for (const workload of workloads) {
      workload.verify();
      expect(workload.failures).toEqual([]);
      await workload.stop();
    }
    for (const agent of [byToken, byKey]) agent.checkRunning();
  });

  it('attests anew by itself when it is evicted, where its evidence can be shown again', async () => {
    await server.operate('agent', 'evict', '-spiffeID', x509pop.id);
    const attested = async () => {
      expect(byKey.log()).toContain('Agent needs to re-attest; will attempt to re-attest');
      expect(await listed()).toEqual(['join_token', 'x509pop']);
    };
    await eventually('the next attestation', attested, 90_000);
    byKey.checkRunning();
  });

  it('ends when it is evicted, where its join token is used up', async () => {
    await server.operate('agent', 'evict', '-spiffeID', await idOf('join_token'));
    await ended(byToken);
    expect(await listed()).toEqual(['x509pop']);
  });

  it('ends when it is banned, and is not let in again until the ban is lifted', async () => {
    await server.operate('agent', 'ban', '-spiffeID', x509pop.id);
    await ended(byKey);
    await expect(byKey.restart()).rejects.toThrow('failed to attest: agent is banned');
    expect(await listed()).toEqual(['x509pop, banned']);
    await server.operate('agent', 'evict', '-spiffeID', x509pop.id);
    await byKey.restart();
    expect(await listed()).toEqual(['x509pop']);
    (await watch(byKey)).verify();
  });
});

it('goes on serving when the CA that it began under has ended', async () => {
  const { agent, workload, first } = brief;
  const past = workload.roots().indexOf(first);
  const { notAfter } = parseCertificate(workload.bundle()[past]!);
  await eventually('the end of the first CA', () => expect(Date.now()).toBeGreaterThan(notAfter), 90_000);
  // Neither an SVID of its workload nor its own can be of that CA any more.
  workload.verify();
  expect(workload.signer()).not.toBe(first);
  await (await watch(agent)).stop();
  agent.checkRunning();
  const renewals = agent.log().match(/Successfully rotated agent SVID/g) ?? [];
  expect(renewals.length).toBeGreaterThan(1);
  expect(workload.failures).toEqual([]);
});
