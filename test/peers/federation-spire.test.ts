// Federation with SPIRE's own server, both ways and under both profiles, and workloads of the two trust domains in mTLS through the bundles.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { webCredentials, webRoot } from '../runtime/server/federation/https-endpoint.ts';
import { nodeIdOf } from './support/agent.ts';
import type { SpireAgent } from './support/agent.ts';
import { call, serve } from './support/go-mtls.ts';
import { eventually, freePort } from './support/processes.ts';
import { prepareGoWorkload, prepareSpireAgent, prepareSpireServer } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';
import { ownUid } from './support/workloads.ts';

const stage = createStage();
afterAll(() => stage.strike());

const write = (name: string, text: string): string => {
  const path = join(stage.directory, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
};

type Profile = 'web' | 'spiffe';
interface Side {
  readonly server: SpireServer;
  readonly url: string;
}

/** A server with a bundle endpoint. */
async function start(trustDomain: string, profile: Profile, command?: string): Promise<Side> {
  const { certificateChainPem, privateKey } = webCredentials();
  const key = typeof privateKey === 'string' ? privateKey : privateKey.export({ type: 'pkcs8', format: 'pem' });
  const certificatePath = write('serving.pem', certificateChainPem);
  const keyPath = write('serving-key.pem', key.toString());
  const body =
    profile === 'web'
      ? `serving_cert_file { cert_file_path = "${certificatePath}" key_file_path = "${keyPath}" file_sync_interval = "10s" }`
      : '';
  const port = await freePort();
  const endpoint = `bundle_endpoint { address = "127.0.0.1" port = ${port} profile "https_${profile}" { ${body} } }`;
  const server = await stage.server({
    name: trustDomain,
    trustDomain,
    settings: `federation { ${endpoint} }`,
    env: { SSL_CERT_FILE: write('system-roots.pem', webRoot.pem) },
    ...(command && { command }),
  });
  return { server, url: `https://127.0.0.1:${port}` };
}

/** From now on `reader` follows the bundle of `other`. */
async function federate(reader: Side, other: Side, profile: Profile): Promise<void> {
  const { trustDomain } = other.server;
  const bundlePath = write(`${trustDomain}.pem`, await other.server.bundlePem());
  const identity = ['-endpointSpiffeID', `spiffe://${trustDomain}/spire/server`];
  await reader.server.operate(
    ...['federation', 'create', '-trustDomain', trustDomain, '-bundleEndpointURL', other.url],
    ...['-bundleEndpointProfile', `https_${profile}`, ...(profile === 'spiffe' ? identity : [])],
    ...['-trustDomainBundlePath', bundlePath, '-trustDomainBundleFormat', 'pem'],
  );
}

/** Ids of the JWT keys in a bundle: the first that the reader is given by hand has none. */
const keysIn = (document: string): string[] =>
  (JSON.parse(document) as { keys: { kid?: string }[] }).keys.flatMap(({ kid }) => kid ?? []).sort();
const ownKeys = async ({ server }: Side) => keysIn(await server.operate('bundle', 'show', '-format', 'spiffe'));
const keysHeld = async ({ server }: Side, trustDomain: string) =>
  keysIn(await server.operate('bundle', 'list', '-id', `spiffe://${trustDomain}`, '-format', 'spiffe'));

describe.each(['web', 'spiffe'] as const)('over https_%s', (profile) => {
  let ours: Side;
  let theirs: Side;

  beforeAll(async () => {
    const command = await prepareSpireServer();
    ours = await start(`ours-${profile}.test`, profile);
    theirs = await start(`theirs-${profile}.test`, profile, command);
    await federate(ours, theirs, profile);
    await federate(theirs, ours, profile);
  });

  it.each(['our server reads SPIRE’s endpoint', 'SPIRE’s server reads our endpoint'])('%s', async (title) => {
    const [reader, other] = title.startsWith('our') ? [ours, theirs] : [theirs, ours];
    const { trustDomain } = other.server;
    await eventually('the first bundle', async () =>
      expect(await keysHeld(reader, trustDomain)).toEqual(await ownKeys(other)),
    );
    const before = await ownKeys(other);
    await other.server.operate('localauthority', 'jwt', 'prepare');
    const after = await ownKeys(other);
    expect(after).toHaveLength(before.length + 1);
    expect(await reader.server.operate('federation', 'refresh', '-id', trustDomain)).toBe('Bundle refreshed\n');
    expect(await keysHeld(reader, trustDomain)).toEqual(after);
  });

  it('a relationship that names another server is of no use', async () => {
    for (const [reader, other] of [
      [ours, theirs],
      [theirs, ours],
    ] as const) {
      const { trustDomain } = other.server;
      await reader.server.operate(
        ...['federation', 'update', '-trustDomain', trustDomain, '-bundleEndpointURL', other.url],
        ...['-bundleEndpointProfile', 'https_spiffe', '-endpointSpiffeID', `spiffe://${trustDomain}/other`],
      );
      const held = await keysHeld(reader, trustDomain);
      await other.server.operate('localauthority', 'jwt', 'prepare');
      await expect(reader.server.operate('federation', 'refresh', '-id', trustDomain)).rejects.toThrow();
      expect(await keysHeld(reader, trustDomain)).toEqual(held);
    }
  });
});

describe('workloads of two trust domains', () => {
  let go: string;
  let agents: { ours: SpireAgent; theirs: SpireAgent };
  const idIn = (trustDomain: string): string => `spiffe://${trustDomain}/w`;

  beforeAll(async () => {
    go = await prepareGoWorkload();
    const [serverCommand, agentCommand] = [await prepareSpireServer(), await prepareSpireAgent()];
    const ours = await start('ours.test', 'spiffe');
    const theirs = await start('theirs.test', 'spiffe', serverCommand);
    await federate(ours, theirs, 'spiffe');
    await federate(theirs, ours, 'spiffe');
    const admit = async ({ server }: Side, federated: string) => {
      const { trustDomain } = server;
      const ids = [
        '-parentID',
        nodeIdOf(`node-${trustDomain}`, trustDomain),
        '-spiffeID',
        idIn(trustDomain),
        '-selector',
        ownUid,
      ];
      await server.operate('entry', 'create', ...ids, '-federatesWith', federated);
    };
    await admit(ours, 'theirs.test');
    await admit(theirs, 'ours.test');
    // Each agent on the server of the other make, so that each carries the other's bundles.
    agents = {
      ours: await stage.agent({ name: 'node-ours.test', server: ours.server, command: agentCommand }),
      theirs: await stage.agent({ name: 'node-theirs.test', server: theirs.server }),
    };
  });

  it.each(['ours', 'theirs'] as const)('meet in mTLS, with the server in %s', async (side) => {
    const other = side === 'ours' ? 'theirs' : 'ours';
    const [self, peer] = [idIn(`${side}.test`), idIn(`${other}.test`)];
    const server = await serve(go, agents[side], peer);
    try {
      await eventually('the call', async () =>
        expect(await call(go, agents[other], server.address, self)).toMatchObject({
          self: peer,
          peer: self,
          seenAs: peer,
        }),
      );
      await expect(call(go, agents[other], server.address, idIn(`${other}.test`))).rejects.toThrow(/unexpected ID/);
      await expect(call(go, agents[side], server.address, self)).rejects.toThrow();
    } finally {
      await server.stop();
    }
  });
});
