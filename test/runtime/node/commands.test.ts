// The commands of espalier-node, each against services on loopback that answer as the clouds' do.
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { Bundle } from '../../../proto/gen/spire/api/types/bundle.ts';
import { commands } from '../../../runtime/node/commands.ts';
import { createRpcServer } from '../../../runtime/rpc/server.ts';
import { startMetadataFake } from '../attest/aws_iid/metadata-fake.ts';
import type { HttpService } from '../attest/http-service.ts';
import { startHttpService } from '../attest/http-service.ts';

let directory = '';
let printed: string[] = [];
let noted: string[] = [];
const services: HttpService[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'node-'));
  [printed, noted] = [[], []];
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await Promise.all(services.splice(0).map((service) => service.close()));
  rmSync(directory, { recursive: true });
});

async function run(line: string, env: Record<string, string> = {}, signal?: AbortSignal): Promise<void> {
  const [name = '', ...argv] = line.split(' ');
  const deps = {
    fetch,
    env,
    clock: Date.now,
    print: (text: string) => printed.push(text),
    note: (text: string) => noted.push(text),
    ...(signal === undefined ? {} : { signal }),
  };
  await commands.get(name)?.(argv, deps);
}

async function serve(starting: Promise<HttpService>): Promise<HttpService> {
  const service = await starting;
  services.push(service);
  return service;
}

describe('espalier-node secret', () => {
  const value = 'DATABASE_URL=postgres://spire:p%40ss@db/spire\n';

  it("writes a GCP secret to a file of its owner alone, read with the machine's token", async () => {
    const metadata = await serve(
      startHttpService(({ url }) => ({
        headers: { 'Metadata-Flavor': 'Google' },
        body: url.endsWith('/token') ? '{"access_token":"ya29.token","expires_in":3599}' : 'espalier-lab',
      })),
    );
    const store = await serve(
      startHttpService(({ headers }) =>
        headers.authorization === 'Bearer ya29.token'
          ? { body: JSON.stringify({ payload: { data: Buffer.from(value).toString('base64') } }) }
          : { status: 401 },
      ),
    );
    const file = join(directory, 'etc/spire/database.env');
    const env = { GCE_METADATA_HOST: metadata.host, ESPALIER_GCP_SECRETMANAGER_ENDPOINT: store.url };
    await run(`secret --cloud gcp --name espalier-1-upstream-database --file ${file}`, env);
    expect(readFileSync(file, 'utf8')).toBe(value);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(store.requests[0]?.url).toBe(
      '/v1/projects/espalier-lab/secrets/espalier-1-upstream-database/versions/latest:access',
    );
    expect([...printed, ...noted].join('')).not.toContain('postgres');
  });

  it('writes the files of an authority, each for its owner alone, and again what has changed', async () => {
    const metadata = await serve(
      startHttpService(({ url }) => ({
        headers: { 'Metadata-Flavor': 'Google' },
        body: url.endsWith('/token') ? '{"access_token":"ya29.token","expires_in":3599}' : 'espalier-lab',
      })),
    );
    const kept = new Map([
      ['bundle', 'ROOTS'],
      ['certificate', 'CERTIFICATE'],
      ['key', 'KEY'],
    ]);
    const store = await serve(
      startHttpService(({ url }) => {
        const value = kept.get(/\/secrets\/e-1-(\w+)\//.exec(url)?.[1] ?? '');
        if (value === undefined) return { status: 404 };
        return { body: JSON.stringify({ payload: { data: Buffer.from(value).toString('base64') } }) };
      }),
    );
    const env = { GCE_METADATA_HOST: metadata.host, ESPALIER_GCP_SECRETMANAGER_ENDPOINT: store.url };
    const at = (part: string): string => join(directory, `authority/${part}.pem`);
    const stopping = new AbortController();
    const line = `authority --cloud gcp --prefix e-1 --directory ${join(directory, 'authority')} --every 10ms`;
    const running = run(line, env, stopping.signal);
    await vi.waitFor(() => expect(readFileSync(at('key'), 'utf8')).toBe('KEY'), { timeout: 20_000 });
    expect([...kept].map(([part]) => readFileSync(at(part), 'utf8'))).toEqual([...kept.values()]);
    expect([...kept].map(([part]) => statSync(at(part)).mode & 0o777)).toEqual([0o600, 0o600, 0o600]);
    const before = statSync(at('certificate')).mtimeMs;

    kept.delete('bundle'); // away for a while: nothing is written, not even what could be
    await vi.waitFor(() => expect(noted.join()).toContain('its files stay as they are'), { timeout: 20_000 });
    const rounds = (): number => store.requests.filter(({ url }) => url.includes('e-1-bundle')).length;
    const begun = rounds();
    kept.set('key', 'SUCCESSOR');
    // The second round that begins from here says that the first is over.
    await vi.waitFor(() => expect(rounds()).toBeGreaterThanOrEqual(begun + 2), { timeout: 20_000 });
    expect(readFileSync(at('key'), 'utf8')).toBe('KEY');
    kept.set('bundle', 'MORE ROOTS');
    await vi.waitFor(() => expect(readFileSync(at('key'), 'utf8')).toBe('SUCCESSOR'), { timeout: 20_000 });
    expect(readFileSync(at('bundle'), 'utf8')).toBe('MORE ROOTS');
    expect(statSync(at('certificate')).mtimeMs).toBe(before);
    stopping.abort();
    await running;
    expect([...printed, ...noted].join('')).not.toContain('SUCCESSOR');
  });

  it('writes an AWS secret, asked for with the instance role and not with keys of the environment', async () => {
    const credentials = {
      Code: 'Success',
      AccessKeyId: 'ASIAROLE',
      SecretAccessKey: 's',
      Token: 't',
      Expiration: '2099-01-01T00:00:00Z',
    };
    const metadata = await serve(
      startMetadataFake({
        'meta-data/placement/region': 'us-east-1',
        'meta-data/iam/security-credentials/': 'server-aws',
        'meta-data/iam/security-credentials/server-aws': JSON.stringify(credentials),
      }),
    );
    const store = await serve(
      startHttpService(({ headers }) =>
        headers['x-amz-target'] === 'secretsmanager.GetSecretValue'
          ? { body: JSON.stringify({ SecretString: value }) }
          : { status: 400 },
      ),
    );
    vi.stubEnv('AWS_ENDPOINT_URL', store.url);
    vi.stubEnv('AWS_EC2_METADATA_SERVICE_ENDPOINT', metadata.url);
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAAMBIENT');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'ambient');
    const file = join(directory, 'database.env');
    await run(`secret --cloud aws --name the-secret --file ${file}`, {
      AWS_EC2_METADATA_SERVICE_ENDPOINT: metadata.url,
    });
    expect(readFileSync(file, 'utf8')).toBe(value);
    expect(store.requests[0]?.headers.authorization).toMatch(/Credential=ASIAROLE\/\d+\/us-east-1\/secretsmanager/);
    expect(JSON.parse(store.requests[0]?.body ?? '')).toEqual({ SecretId: 'the-secret' });
  });

  it('tries again while its rights are still on their way', async () => {
    let refusals = 1;
    const metadata = await serve(
      startHttpService(({ url }) => ({
        headers: { 'Metadata-Flavor': 'Google' },
        body: url.endsWith('/token') ? '{"access_token":"a"}' : 'p',
      })),
    );
    const store = await serve(
      startHttpService(() => (refusals-- > 0 ? { status: 403 } : { body: '{"payload":{"data":"eA=="}}' })),
    );
    const file = join(directory, 'x');
    await run(`secret --cloud gcp --name n --file ${file}`, {
      GCE_METADATA_HOST: metadata.host,
      ESPALIER_GCP_SECRETMANAGER_ENDPOINT: store.url,
    });
    expect(readFileSync(file, 'utf8')).toBe('x');
    expect(noted).toEqual(['not yet: Secret Manager answered 403 for secret n']);
  });

  it.each([
    ['secret --name n --file f', /-cloud must be one of aws, gcp/],
    ['secret --cloud azure --name n --file f', /-cloud must be one of/],
    ['secret --cloud gcp --file f', /-name is required/],
    ['secret --cloud gcp --name n', /-file is required/],
    ['secret --cloud gcp --nam n', /flag provided but not defined: -nam/],
    ['wait-ready --url nowhere', /is not a URL/],
    ['bundle-digest', /-socket is required/],
  ])('refuses %s', async (line, message) => {
    await expect(run(line)).rejects.toThrow(message);
  });

  it('never sends a token to a plain HTTP address elsewhere', async () => {
    const env = { ESPALIER_GCP_SECRETMANAGER_ENDPOINT: 'http://secrets.example.com' };
    await expect(run(`secret --cloud gcp --name n --file ${directory}/x --timeout 0`, env)).rejects.toThrow(
      /must be https/,
    );
  });
});

describe('espalier-node address', () => {
  it('prints the private address of a machine on AWS, on GCP', async () => {
    const aws = await serve(startMetadataFake({ 'meta-data/local-ipv4': '127.77.1.4' }));
    await run('address --cloud aws', { AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url });
    const gcp = await serve(
      startHttpService(() => ({ headers: { 'Metadata-Flavor': 'Google' }, body: '127.77.2.5\n' })),
    );
    await run('address --cloud gcp', { GCE_METADATA_HOST: gcp.host });
    expect(printed).toEqual(['127.77.1.4', '127.77.2.5']);
    expect(gcp.requests[0]?.url).toBe('/computeMetadata/v1/instance/network-interfaces/0/ip');
  });
});

describe('espalier-node bundle-digest', () => {
  it('prints a line for each authority of the server behind the socket', async () => {
    const authorities = ['old', 'new'].map((text) => ({ asn1: Buffer.from(text) }));
    const server = createRpcServer();
    server.addService(BundleService, {
      getBundle: async () => Bundle.create({ trustDomain: 'example.org', x509Authorities: authorities }),
    });
    const socket = join(directory, 'api.sock');
    await server.listenUnix(socket, { mode: 0o770 });
    await run(`bundle-digest --socket ${socket}`);
    await server.close(0);
    const digest = (text: string) => createHash('sha256').update(text).digest('hex');
    expect(printed).toEqual(
      ['old', 'new'].map((text) => `espalier: bundle example.org authority sha256:${digest(text)}`),
    );
  });
});

describe('espalier-node wait-ready', () => {
  it('returns when the address answers well, and not before', async () => {
    let failures = 2;
    const health = await serve(startHttpService(() => ({ status: failures-- > 0 ? 500 : 200 })));
    await run(`wait-ready --url ${health.url}/ready --timeout 10s`);
    expect(health.requests).toHaveLength(3);
  });

  it('gives up in the end, and says why', async () => {
    const health = await serve(startHttpService(() => ({ status: 503 })));
    await expect(run(`wait-ready --url ${health.url}/ready --timeout 300ms`)).rejects.toThrow(
      /is not ready: status 503/,
    );
  });
});
