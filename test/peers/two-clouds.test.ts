// Two segments under one root, each with a server whose CA the root signed: openssl judges their chains, and workloads in Go, on go-spiffe, speak mTLS across.
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesFromPem, certificatesToPem } from '../../runtime/pki/pem.ts';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { call, serve } from './support/go-mtls.ts';
import type { Called, GoServer } from './support/go-mtls.ts';
import { output, run } from './support/processes.ts';
import { prepareGoWorkload } from './support/programs.ts';
import { trustDomain } from './support/server.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { fetchInGo, ownUid } from './support/workloads.ts';
import type { Fetched } from './support/workloads.ts';

const stage = createStage();
const { directory } = stage;
const idOf = (segment: string, name: string) => `spiffe://${trustDomain}/prod/${segment}/demo/${name}`;
const programOf = (name: string) => join(directory, name);
const workloadA = idOf('gcp', 'workload-a');
const workloadB = idOf('aws', 'workload-b');
const stranger = idOf('gcp', 'stranger');

let root: SpireServer;
let gcp: SpireAgent;
let aws: SpireAgent;

beforeAll(async () => {
  const program = await prepareGoWorkload();
  for (const name of ['workload-a', 'workload-b', 'stranger']) copyFileSync(program, programOf(name));
  root = await stage.server({ name: 'root', caTtl: '8760h' });
  gcp = await growSegment('gcp', ['workload-a', 'stranger']);
  aws = await growSegment('aws', ['workload-b']);
});
afterAll(() => stage.strike());

/** A host with an agent of the root, the segment's server on it, and a node with an agent of that server. */
async function growSegment(segment: string, names: readonly string[]): Promise<SpireAgent> {
  const host = `${segment}-host`;
  const downstream = { spiffeId: idOf(segment, 'spire-server'), selectors: [ownUid], downstream: true };
  await root.createEntry({ parentId: nodeIdOf(host), ...downstream });
  const hostAgent = await stage.agent({ name: host, server: root });
  const upstream = { port: root.port, workloadApiSocket: hostAgent.socketPath };
  const server = await stage.server({ name: segment, caTtl: '12h', upstream });
  const node = `${segment}-node`;
  for (const name of names) {
    const selectors = [`unix:path:${programOf(name)}`];
    await server.createEntry({ parentId: nodeIdOf(node), spiffeId: idOf(segment, name), selectors });
  }
  return stage.agent({ name: node, server });
}

describe('two chains under one root', () => {
  let a: Fetched;
  let b: Fetched;

  beforeAll(async () => {
    a = await fetchInGo(programOf('workload-a'), gcp, 'reports');
    b = await fetchInGo(programOf('workload-b'), aws, 'reports');
  });

  it('are given to the workload that each selector names', () => {
    expect([a.id, b.id]).toEqual([workloadA, workloadB]);
    expect([a.verifiedId, b.verifiedId]).toEqual([workloadA, workloadB]);
  });

  it('have one root, which is the root server’s, and two different intermediates', async () => {
    const anchors = certificatesFromPem(await root.bundlePem());
    expect(anchors).toHaveLength(1);
    expect(certificatesFromPem(a.bundle)).toEqual(anchors);
    expect(certificatesFromPem(b.bundle)).toEqual(anchors);
    const [, ofA, ...moreA] = certificatesFromPem(a.chain);
    const [, ofB, ...moreB] = certificatesFromPem(b.chain);
    expect([moreA, moreB]).toEqual([[], []]);
    expect(ofA).toBeDefined();
    expect(ofA).not.toEqual(ofB);
  });

  it.each(['a', 'b'])('are accepted by openssl verify: workload-%s', async (name) => {
    expect(await opensslVerify(name, name === 'a' ? a : b)).toBe(`${join(directory, `leaf-${name}.pem`)}: OK\n`);
  });

  it('are refused by openssl verify with the other segment’s intermediate', async () => {
    const [, intermediate] = certificatesFromPem(b.chain);
    const [leaf] = certificatesFromPem(a.chain);
    const mixed = { bundle: a.bundle, chain: certificatesToPem([leaf!, intermediate!]) };
    await expect(opensslVerify('mixed', mixed)).rejects.toThrow(/unable to get local issuer certificate|verification failed/);
  });

  it('let a JWT-SVID of one segment be validated in the other', async () => {
    const token = await output(programOf('workload-a'), ['token', 'reports'], { env: gcp.env });
    const env = { ...aws.env, JWT_SVID: token.trim() };
    expect(await output(programOf('workload-b'), ['validate', 'reports'], { env })).toBe(`${workloadA}\n`);
  });

  async function opensslVerify(name: string, { bundle, chain }: Pick<Fetched, 'bundle' | 'chain'>): Promise<string> {
    const [leaf, ...intermediates] = certificatesFromPem(chain);
    const write = (file: string, pem: string): string => {
      writeFileSync(join(directory, file), pem);
      return join(directory, file);
    };
    const root = write(`root-${name}.pem`, bundle);
    const untrusted = write(`intermediates-${name}.pem`, certificatesToPem(intermediates));
    const args = ['verify', '-x509_strict', '-no-CApath', '-no-CAstore', '-CAfile', root, '-untrusted', untrusted];
    return output('openssl', [...args, write(`leaf-${name}.pem`, certificatesToPem([leaf!]))]);
  }
});

describe('mTLS between the segments', () => {
  let server: GoServer;
  let answer: Called;

  beforeAll(async () => {
    server = stage.add(await serve(programOf('workload-b'), aws, workloadA));
    answer = await call(programOf('workload-a'), gcp, server.address, workloadB);
  });

  it('is seen alike by both sides', () => {
    expect(answer).toMatchObject({ self: workloadA, peer: workloadB, seenAs: workloadA });
  });

  it('is refused by the server to a third identity', async () => {
    const refused = await run(programOf('stranger'), ['call', server.address, workloadB], { env: gcp.env });
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(server.refusals()).toContain(stranger);
  });

  it('is refused by the client to a server of another identity', async () => {
    const refused = await run(programOf('workload-a'), ['call', server.address, stranger], { env: gcp.env });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain(`unexpected ID "${workloadB}"`);
  });
});
