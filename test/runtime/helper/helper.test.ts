import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { parseHelperConfig } from '../../../runtime/helper/config.ts';
import { runHelper } from '../../../runtime/helper/helper.ts';
import { createLog } from '../../../runtime/log.ts';
import { signJwtSvid } from '../../../runtime/pki/jwt-svid.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { untilAborted } from '../../../runtime/rpc/abortable.ts';
import { createQueue } from '../../../runtime/rpc/queue.ts';
import { permissionDenied } from '../../../runtime/rpc/status.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../runtime/spiffe/bundle.ts';
import type { WorkloadApi } from '../../../runtime/workloadapi/workload-api.ts';
import type { X509Context } from '../../../runtime/workloadapi/x509-context.ts';
import { ownAddress } from '../../support/own-address.ts';
import { createTestCa } from '../rpc/test-ca.ts';

const ca = createTestCa('example.org');
const foreign = createTestCa('foreign.test');
const downstream = ca.downstream();
const { privateKey: jwtKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const jwtBundle: TrustBundle = {
  ...emptyBundle(ca.trustDomain),
  jwtAuthorities: [
    { keyId: 'k', publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })), expiresAt: 0 },
  ],
};
const x509 = 'svid_file_name = "svid.pem"\nsvid_key_file_name = "key.pem"\nsvid_bundle_file_name = "bundle.pem"\n';

/** An SVID below an intermediate CA, with a hint for each. */
function contextOf(...hints: string[]): X509Context {
  const [first, ...others] = hints.map((hint) => {
    const { id, certificate, privateKey } = downstream.issue(`/${hint === '' ? 'first' : hint}`);
    return { id, hint, privateKey, chain: [certificate.der, intermediate()], expiresAt: certificate.notAfter };
  });
  const bundles = [ca, foreign].map((of): [string, TrustBundle] => [
    of.trustDomain.name,
    { ...emptyBundle(of.trustDomain), x509Authorities: [{ asn1: of.root.der }] },
  ]);
  return { svids: [first!, ...others], bundles: new Map(bundles) };
}

function intermediate(): Uint8Array {
  const pem = downstream.issue('/any').certificateChainPem.split(/(?<=-----END CERTIFICATE-----\n)/)[1]!;
  return new Uint8Array(Buffer.from(pem.replace(/-----.*-----|\n/g, ''), 'base64'));
}

/** A Workload API that says what the test pushes. */
function createApi(first?: X509Context) {
  const contexts = createQueue<X509Context>();
  if (first !== undefined) contexts.push(first);
  const bundles = createQueue<ReadonlyMap<string, TrustBundle>>();
  bundles.push(new Map([[ca.trustDomain.name, jwtBundle]]));
  const asked: string[][] = [];
  const api: WorkloadApi = {
    fetchX509Svid: (limits) => untilAborted(contexts, limits!.signal!),
    fetchX509Bundles: () => Promise.reject(new Error('not asked for')) as never,
    fetchJwtBundles: (limits) => untilAborted(bundles, limits!.signal!),
    fetchJwtSvid({ audience }) {
      asked.push([...audience]);
      const now = Date.now();
      const { id } = ca.issue('/first');
      const token = signJwtSvid({
        signer: signerOf(jwtKey),
        keyId: 'k',
        spiffeId: id,
        audience,
        issuedAt: now,
        expiresAt: now + 300_000,
      });
      return Promise.resolve([{ id, token, hint: '' }]);
    },
    validateJwtSvid: () => Promise.reject(new Error('not asked for')),
    close: () => undefined,
  };
  return { api, asked, push: (context: X509Context) => contexts.push(context) };
}

function start(text: string, api: WorkloadApi, daemon = true) {
  const directory = mkdtempSync(join(tmpdir(), 'helper-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const config = parseHelperConfig(`${text}\ncert_dir = "${directory}"`, 'helper.conf', { env: {}, daemon });
  const lines: string[] = [];
  const log = createLog({ level: 'info', format: 'text', write: (line) => void lines.push(line) });
  const stop = new AbortController();
  const running = runHelper({ config, api, log, clock: Date.now, signal: stop.signal, probeHost: ownAddress });
  running.catch(() => undefined);
  onTestFinished(async () => {
    stop.abort();
    await running.catch(() => undefined);
  });
  const read = (name: string) => readFileSync(join(directory, name), 'utf8');
  return { directory, running, read, lines, has: (name: string) => existsSync(join(directory, name)) };
}

test('once: certificate with its intermediates, key and bundle are written, and the helper ends', async () => {
  const context = contextOf('', 'second');
  const { running, read, directory } = start(x509, createApi(context).api, false);
  await running;
  const [svid] = context.svids;
  expect(read('svid.pem')).toBe(certificatesToPem(svid.chain));
  expect(read('key.pem')).toBe(svid.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  expect(read('bundle.pem')).toBe(certificatesToPem([ca.root.der]));
  expect(statSync(join(directory, 'key.pem')).mode & 0o777).toBe(0o600);
});

test('once: intermediates and federated authorities go to the bundle where that is asked for', async () => {
  const context = contextOf('');
  const { running, read } = start(
    `${x509}add_intermediates_to_bundle = true\ninclude_federated_domains = true`,
    createApi(context).api,
    false,
  );
  await running;
  const [leaf, above] = context.svids[0].chain;
  expect(read('svid.pem')).toBe(certificatesToPem([leaf!]));
  expect(read('bundle.pem')).toBe(certificatesToPem([ca.root.der, above!, foreign.root.der]));
});

test('once: the hint picks the SVID, and a hint that nobody has is an error that names it', async () => {
  const context = contextOf('', 'second');
  const chosen = start(`${x509}hint = "second"`, createApi(context).api, false);
  await chosen.running;
  expect(chosen.read('svid.pem')).toBe(certificatesToPem(context.svids[1]!.chain));
  const missing = start(`${x509}hint = "third"`, createApi(context).api, false);
  await expect(missing.running).rejects.toThrow('there is no X.509-SVID with the hint "third"');
  expect(missing.has('svid.pem')).toBe(false);
});

test('once: an identity that is not there yet is waited for', async () => {
  const { api } = createApi(contextOf(''));
  let refusals = 2;
  const late: WorkloadApi = {
    ...api,
    fetchX509Svid(limits) {
      if (refusals-- > 0) throw permissionDenied('no identity issued');
      return api.fetchX509Svid(limits);
    },
  };
  const { running, has } = start(x509, late, false);
  await running;
  expect(has('svid.pem')).toBe(true);
});

test('once: tokens are asked for with every audience, and JWT bundles are written', async () => {
  const { api, asked } = createApi();
  const { running, read } = start(
    'jwt_bundle_file_name = "jwks.json"\njwt_svids = [{ jwt_audience = "a", jwt_extra_audiences = ["b"], jwt_svid_file_name = "token" }]',
    api,
    false,
  );
  await running;
  expect(asked).toEqual([['a', 'b']]);
  expect(read('token').split('.')).toHaveLength(3);
  const members = JSON.parse(read('jwks.json')) as Record<string, string>;
  expect(Object.keys(members)).toEqual(['example.org']);
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  expect(JSON.parse(Buffer.from(members['example.org']!, 'base64').toString())).toEqual({
    keys: [{ kty, kid: 'k', crv, x, y }],
  });
});

test('a daemon writes every update and signals the process of the pid file', async () => {
  const child = spawn('sh', ['-c', 'trap "echo renewed" HUP; echo ready; while :; do sleep 0.05; done']);
  onTestFinished(() => void child.kill('SIGKILL'));
  let heard = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (heard += chunk));
  await expect.poll(() => heard).toContain('ready');
  const pidFile = join(mkdtempSync(join(tmpdir(), 'pid-')), 'pid');
  writeFileSync(pidFile, `${child.pid}\n`);

  const { api, push } = createApi(contextOf(''));
  const { read } = start(`${x509}pid_file_name = "${pidFile}"\nrenew_signal = "SIGHUP"`, api);
  await expect.poll(() => heard).toBe('ready\nrenewed\n');
  const next = contextOf('');
  push(next);
  await expect.poll(() => heard).toBe('ready\nrenewed\nrenewed\n');
  expect(read('svid.pem')).toBe(certificatesToPem(next.svids[0].chain));
});

test('a daemon starts its command when the files are there, and starts it again where it has ended', async () => {
  const { api, push } = createApi();
  const { lines } = start(`${x509}cmd = "true"`, api);
  const said = (message: string) => lines.filter((line) => line.includes(message)).length;
  expect(said('Command started')).toBe(0);
  push(contextOf(''));
  await expect.poll(() => [said('Command started'), said('Command ended')]).toEqual([1, 1]);
  push(contextOf(''));
  await expect.poll(() => [said('Command started'), said('Command ended')]).toEqual([2, 2]);
});

test('a command that cannot be run is said, and the files are there all the same', async () => {
  const { api } = createApi(contextOf(''));
  const { lines, has } = start(`${x509}cmd = "/nowhere/program"`, api);
  await expect.poll(() => lines.join('')).toContain('/nowhere/program cannot be run');
  expect(has('svid.pem')).toBe(true);
});

test('a command that still runs gets the signal, and ends with the helper', async () => {
  const { api, push } = createApi(contextOf(''));
  const trapSet = join(mkdtempSync(join(tmpdir(), 'trap-')), 'set');
  const script = `trap "exit 7" USR1; : > ${trapSet}; while :; do sleep 0.05; done`;
  const { lines } = start(
    `${x509}cmd = "sh"\nrenew_signal = "SIGUSR1"\ncmd_args = ${JSON.stringify(`-c "${script.replaceAll('"', '""')}"`)}`,
    api,
  );
  await expect.poll(() => existsSync(trapSet)).toBe(true);
  push(contextOf(''));
  await expect.poll(() => lines.join('')).toContain('code=7');
});

test('a daemon that cannot write says so, is not live, and recovers with the next update', async () => {
  const { api, push } = createApi(contextOf(''));
  const { directory, lines, has } = start(`${x509}health_checks { listener_enabled = true, bind_port = 18923 }`, api);
  await expect.poll(() => has('svid.pem')).toBe(true);
  const probe = async (path: string) => {
    const response = await fetch(`http://${ownAddress}:18923${path}`);
    return [response.status, response.status === 404 ? '' : await response.json()];
  };
  const written = { file_write_statuses: { x509_write_status: 'written', jwt_write_status: {} } };
  await expect.poll(() => probe('/ready')).toEqual([200, { status: 'OK', health: written }]);
  expect(await probe('/live')).toEqual([200, { status: 'OK', health: written }]);
  expect((await probe('/other'))[0]).toBe(404);
  rmSync(directory, { recursive: true });
  push(contextOf(''));
  const failed = { file_write_statuses: { x509_write_status: 'failed', jwt_write_status: {} } };
  await expect.poll(() => probe('/live')).toEqual([503, { status: 'Service Unavailable', health: failed }]);
  expect(lines.join('')).toContain('X.509 files not updated');
});

test('the program writes the files of a configuration that it is given', async () => {
  const missing = spawn(process.execPath, [
    join(import.meta.dirname, '../../../runtime/helper/main.ts'),
    '-config',
    '/nowhere/helper.conf',
  ]);
  let said = '';
  missing.stdout.setEncoding('utf8').on('data', (chunk: string) => (said += chunk));
  const [code] = (await once(missing, 'close')) as [number];
  expect([code, said]).toEqual([1, expect.stringContaining('/nowhere/helper.conf')]);
});
