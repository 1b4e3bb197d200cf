// Federation with a program that we did not write: go-spiffe's federation package reads our bundle endpoint, and serves one that our server reads.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesToPem } from '../../runtime/pki/pem.ts';
import { emptyBundle, encodeSpiffeBundle } from '../../runtime/spiffe/bundle.ts';
import type { TlsCredentials } from '../../runtime/rpc/tls-credentials.ts';
import { createTestCa } from '../runtime/rpc/test-ca.ts';
import { webCredentials, webRoot } from '../runtime/server/federation/https-endpoint.ts';
import { serveBundle, startLines } from './support/go-federation.ts';
import { eventually, freePort, output, run } from './support/processes.ts';
import { prepareGoFederation } from './support/programs.ts';
import type { SpireServer } from './support/server.ts';
import { createStage } from './support/stage.ts';

const stage = createStage();
let go: string;
beforeAll(async () => {
  go = await prepareGoFederation();
});
afterAll(() => stage.strike());

const pathOf = (name: string): string => join(stage.directory, name);
const write = (name: string, text: string): string => {
  writeFileSync(pathOf(name), text, { mode: 0o600 });
  return pathOf(name);
};
function writePair(name: string, { certificateChainPem, privateKey }: TlsCredentials) {
  const key = typeof privateKey === 'string' ? privateKey : privateKey.export({ type: 'pkcs8', format: 'pem' });
  return {
    certificatePath: write(`${name}.pem`, certificateChainPem),
    keyPath: write(`${name}-key.pem`, key.toString()),
  };
}

interface Document {
  readonly keys: readonly { readonly kid?: string; readonly x5c?: readonly string[] }[];
  readonly spiffe_sequence?: number;
  readonly spiffe_refresh_hint?: number;
}
const read = (text: string): Document => JSON.parse(text) as Document;
/** What is in a bundle, in no order. */
const contentOf = ({ keys, ...rest }: Document) => ({
  ...rest,
  keys: new Set(keys.map(({ kid, x5c }) => kid ?? x5c?.[0])),
});

describe('our bundle endpoint, read by go-spiffe', () => {
  const profiles = ['web', 'spiffe'] as const;
  let servers: Record<(typeof profiles)[number], { server: SpireServer; url: string; judged: string[] }>;

  beforeAll(async () => {
    const { certificatePath, keyPath } = writePair('serving', webCredentials());
    const serving = `serving_cert_file { cert_file_path = "${certificatePath}" key_file_path = "${keyPath}" }`;
    const start = async (profile: 'web' | 'spiffe', body: string) => {
      const port = await freePort();
      const endpoint = `bundle_endpoint { address = "127.0.0.1" port = ${port} profile "https_${profile}" { ${body} } }`;
      const server = await stage.server({ name: `our-${profile}`, settings: `federation { ${endpoint} }` });
      return { server, url: `https://127.0.0.1:${port}` };
    };
    const [web, spiffe] = [await start('web', serving), await start('spiffe', '')];
    const bundle = write('our-bundle.pem', await spiffe.server.bundlePem());
    servers = {
      web: { ...web, judged: ['web', write('web-root.pem', webRoot.pem)] },
      spiffe: { ...spiffe, judged: ['spiffe', 'spiffe://example.org/spire/server', bundle] },
    };
  });

  it.each(profiles)('over https_%s', async (profile) => {
    const { server, url, judged } = servers[profile];
    const fetched = read(await output(go, ['fetch', 'example.org', url, ...judged]));
    const shown = read(await server.operate('bundle', 'show', '-format', 'spiffe'));
    expect(contentOf(fetched)).toEqual(contentOf({ ...shown, spiffe_refresh_hint: 300 }));
  });

  it.each(profiles)('over https_%s, change after change', async (profile) => {
    const { server, url, judged } = servers[profile];
    const watching = stage.add(await startLines(go, ['watch', 'example.org', url, ...judged]));
    const first = read(watching.lines[0] ?? '');
    await server.operate('localauthority', 'jwt', 'prepare');
    await eventually('a second bundle', () => {
      const second = read(watching.lines[1] ?? '');
      expect(second.spiffe_sequence).toBeGreaterThan(first.spiffe_sequence ?? 0);
      expect(second.keys).toHaveLength(first.keys.length + 1);
    });
    await watching.stop();
  });

  it('but not as another server, nor by the wrong authorities', async () => {
    const { web, spiffe } = servers;
    const [, , bundle] = spiffe.judged;
    const refused = async (url: string, ...judged: string[]) => {
      const { code, stderr } = await run(go, ['fetch', 'example.org', url, ...judged]);
      expect(code).toBe(1);
      return stderr;
    };
    expect(await refused(spiffe.url, 'spiffe', 'spiffe://example.org/other', bundle ?? '')).toContain('unexpected ID');
    expect(await refused(spiffe.url, ...web.judged)).toMatch(/x509|certificate/);
    expect(await refused(web.url, ...spiffe.judged)).toMatch(/x509|spiffe/i);
  });
});

describe('go-spiffe’s bundle endpoint, read by our server', () => {
  let server: SpireServer;
  beforeAll(async () => {
    server = await stage.server({ name: 'reader', env: { SSL_CERT_FILE: write('system-roots.pem', webRoot.pem) } });
  });

  const shown = async (name: string) =>
    read(await server.operate('bundle', 'list', '-id', `spiffe://${name}`, '-format', 'spiffe'));

  it.each(['web', 'spiffe'] as const)('over https_%s, newer ones only unless an operator asks', async (profile) => {
    const name = `${profile}.test`;
    const [ca, next] = [createTestCa(name), createTestCa(name)];
    const documentOf = (sequenceNumber: number, ...roots: readonly (typeof ca)[]) =>
      encodeSpiffeBundle({
        ...emptyBundle(ca.trustDomain),
        x509Authorities: roots.map(({ root }) => ({ asn1: root.der })),
        sequenceNumber,
        refreshHintSeconds: 300,
      });
    const bundlePath = write(`${name}.json`, documentOf(5, ca));
    const pair = writePair(name, profile === 'web' ? webCredentials() : ca.issue('/endpoint'));
    const endpoint = stage.add(await serveBundle(go, { trustDomain: name, bundlePath, profile, ...pair }));
    const judged =
      profile === 'web'
        ? []
        : [
            '-endpointSpiffeID',
            `spiffe://${name}/endpoint`,
            '-trustDomainBundlePath',
            write(`${name}-root.pem`, certificatesToPem(ca.roots())),
          ];
    const flags = [
      '-trustDomain',
      name,
      '-bundleEndpointURL',
      endpoint.url,
      '-bundleEndpointProfile',
      `https_${profile}`,
    ];
    await server.operate('federation', 'create', ...flags, ...judged);
    await eventually('the first bundle', async () =>
      expect(contentOf(await shown(name))).toEqual(contentOf(read(documentOf(5, ca)))),
    );

    write(`${name}.json`, documentOf(6, ca, next));
    expect(await server.operate('federation', 'refresh', '-id', name)).toBe('Bundle refreshed\n');
    expect(contentOf(await shown(name))).toEqual(contentOf(read(documentOf(6, ca, next))));

    // An endpoint that moves is asked at once, and what it serves is older; asked for by name, it is taken.
    write(`${name}.json`, documentOf(4, ca));
    const moved = flags.map((flag) => (flag === endpoint.url ? `${endpoint.url}/moved` : flag));
    await server.operate('federation', 'update', ...moved, ...judged.slice(0, 2));
    await eventually('a refusal', () =>
      expect(server.log()).toContain('endpoint serves sequence number 4, older than 6'),
    );
    expect((await shown(name)).spiffe_sequence).toBe(6);
    await server.operate('federation', 'refresh', '-id', name);
    expect(contentOf(await shown(name))).toEqual(contentOf(read(documentOf(4, ca))));
  });

  it('but not with a certificate that nobody knows', async () => {
    const name = 'stranger.test';
    const ca = createTestCa(name);
    const bundlePath = write(
      `${name}.json`,
      encodeSpiffeBundle({ ...emptyBundle(ca.trustDomain), x509Authorities: [{ asn1: ca.root.der }] }),
    );
    const endpoint = stage.add(
      await serveBundle(go, {
        trustDomain: name,
        bundlePath,
        profile: 'spiffe',
        ...writePair(name, ca.issue('/endpoint')),
      }),
    );
    const flags = ['-trustDomain', name, '-bundleEndpointURL', endpoint.url, '-bundleEndpointProfile', 'https_web'];
    await server.operate('federation', 'create', ...flags);
    await expect(server.operate('federation', 'refresh', '-id', name)).rejects.toThrow(
      /the server certificate contains SPIFFE ID \\?"spiffe:\/\/stranger\.test\/endpoint\\?": maybe use https_spiffe instead of https_web/,
    );
  });
});
