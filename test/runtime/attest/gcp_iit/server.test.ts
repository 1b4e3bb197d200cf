// gcp_iit's server half against a certificates endpoint of our own: tokens that Google would sign, and the ones it would not.
import { createHmac } from 'node:crypto';
import * as jose from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AttestCode, AttestRefusal } from '../../../../runtime/attest/attest-error.ts';
import { createGcpIitServerAttestor } from '../../../../runtime/attest/gcp_iit/server.ts';
import { createServerAttestor } from '../../../../runtime/attest/server-attestors.ts';
import { makeCertificate, rsaKeys } from '../certificates.ts';
import { bytes, contextWith, expectRefusal, log, noChallenge, now, trustDomain } from '../server-context.ts';
import { startHttpService } from '../http-service.ts';
import type { Answer, HttpService } from '../http-service.ts';

const google = makeCertificate({ commonName: 'google', keys: rsaKeys() });
const stranger = makeCertificate({ commonName: 'stranger', keys: rsaKeys() });
const seconds = Math.floor(now / 1000);

const instance = {
  project_id: 'espalier-lab',
  project_number: 123456789,
  zone: 'us-central1-a',
  instance_id: '5273846501',
  instance_name: 'gcp-node-0',
  instance_creation_timestamp: 1764000000,
};
const claims = {
  iss: 'https://accounts.google.com',
  aud: 'spire-gcp-node-attestor',
  azp: '1234',
  sub: '1234',
  email: 'node@espalier-lab.iam.gserviceaccount.com',
  email_verified: true,
  iat: seconds,
  exp: seconds + 3600,
  google: { compute_engine: instance },
};
type Claims = Record<string, unknown>;

const token = (more: Claims = {}, header: Partial<jose.JWTHeaderParameters> = {}, signer = google): Promise<string> =>
  new jose.SignJWT({ ...claims, ...more })
    .setProtectedHeader({ alg: 'RS256', kid: 'one', typ: 'JWT', ...header })
    .sign(signer.keys.privateKey);

/** A token with exactly this header and signature; jose would not make it. */
const rawToken = (header: object, sign: (input: string) => string): string => {
  const input = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${input}.${sign(input)}`;
};

let certificates: HttpService;
let answer: Answer;
let time = now;

const fresh = (): Answer => ({
  headers: { Expires: new Date(now + 3_600_000).toUTCString() },
  body: JSON.stringify({ one: google.pem }),
});

beforeAll(async () => {
  certificates = await startHttpService(() => answer);
});
afterAll(() => certificates.close());
beforeEach(() => {
  answer = fresh();
  time = now;
  certificates.requests.length = 0;
});

function server(more: Record<string, unknown> = {}) {
  const data = {
    projectid_allow_list: ['other', 'espalier-lab'],
    certificates_url: `${certificates.url}/certs`,
    ...more,
  };
  return createServerAttestor('gcp_iit', data, { trustDomain, log, clock: () => time });
}

const attest = async (evidence: string | Promise<string>, judge = server(), attested: string[] = []) =>
  judge.attest(bytes(await evidence), noChallenge, contextWith(attested));

describe('gcp_iit accepts', () => {
  it('a token of an instance in a listed project', async () => {
    const { spiffeId, selectors, canReattest } = await attest(token());
    expect(spiffeId.toString()).toBe('spiffe://example.org/spire/agent/gcp_iit/espalier-lab/5273846501');
    expect(selectors).toEqual([
      { type: 'gcp_iit', value: 'project-id:espalier-lab' },
      { type: 'gcp_iit', value: 'zone:us-central1-a' },
      { type: 'gcp_iit', value: 'instance-name:gcp-node-0' },
      { type: 'gcp_iit', value: 'sa:node@espalier-lab.iam.gserviceaccount.com' },
    ]);
    expect(canReattest).toBe(false);
  });

  it('an audience among several, and a clock that is a minute off', async () => {
    await expect(attest(token({ aud: ['x', 'spire-gcp-node-attestor'] }))).resolves.toBeDefined();
    await expect(attest(token({ exp: seconds - 59 }))).resolves.toBeDefined();
    await expect(attest(token({ iat: seconds + 59, nbf: seconds + 59 }))).resolves.toBeDefined();
  });

  it('a path of its own making', async () => {
    const agent_path_template = '/{{ .PluginName }}/{{.Zone}}/{{ .ServiceAccount }}/{{ .ProjectNumber }}';
    const { spiffeId } = await attest(token(), server({ agent_path_template }));
    expect(spiffeId.path).toBe(
      '/spire/agent/gcp_iit/us-central1-a/node_espalier-lab.iam.gserviceaccount.com/123456789',
    );
  });
});

describe('gcp_iit refuses', () => {
  const forged: [string, () => string | Promise<string>, AttestCode, AttestRefusal][] = [
    ['an empty payload', () => '', 'INVALID_ARGUMENT', 'PAYLOAD_EMPTY'],
    ['what is no token', () => 'no token', 'INVALID_ARGUMENT', 'TOKEN_MALFORMED'],
    ['a header that is not JSON', () => 'bm8.bm8.bm8', 'INVALID_ARGUMENT', 'TOKEN_MALFORMED'],
    ['algorithm none', () => rawToken({ alg: 'none', kid: 'one' }, () => ''), 'INVALID_ARGUMENT', 'TOKEN_ALGORITHM'],
    [
      "HS256 with the public key's text as the secret",
      () =>
        rawToken({ alg: 'HS256', kid: 'one' }, (input) =>
          createHmac('sha256', google.pem).update(input).digest('base64url'),
        ),
      'INVALID_ARGUMENT',
      'TOKEN_ALGORITHM',
    ],
    [
      'RS512, though the key is the right one',
      () => token({}, { alg: 'RS512' }),
      'INVALID_ARGUMENT',
      'TOKEN_ALGORITHM',
    ],
    ['no key ID', () => rawToken({ alg: 'RS256' }, () => 'c2ln'), 'INVALID_ARGUMENT', 'TOKEN_KEY_UNKNOWN'],
    ['an unknown key ID', () => token({}, { kid: 'two' }), 'INVALID_ARGUMENT', 'TOKEN_KEY_UNKNOWN'],
    [
      'a key ID that every object has',
      () => token({}, { kid: 'constructor' }),
      'INVALID_ARGUMENT',
      'TOKEN_KEY_UNKNOWN',
    ],
    ['a stranger that names a known key', () => token({}, {}, stranger), 'INVALID_ARGUMENT', 'TOKEN_SIGNATURE'],
    [
      "a stranger that brings its key along in 'jwk'",
      () => token({}, { jwk: stranger.keys.publicKey.export({ format: 'jwk' }) }, stranger),
      'INVALID_ARGUMENT',
      'TOKEN_SIGNATURE',
    ],
    ['another audience', () => token({ aud: 'vault' }), 'PERMISSION_DENIED', 'TOKEN_AUDIENCE'],
    ['no audience', () => token({ aud: undefined }), 'PERMISSION_DENIED', 'TOKEN_AUDIENCE'],
    ['another issuer', () => token({ iss: 'https://securetoken.google.com/x' }), 'PERMISSION_DENIED', 'TOKEN_ISSUER'],
    ['no issuer', () => token({ iss: undefined }), 'PERMISSION_DENIED', 'TOKEN_ISSUER'],
    ['an expired token', () => token({ exp: seconds - 61 }), 'PERMISSION_DENIED', 'TOKEN_EXPIRED'],
    ['a token that never expires', () => token({ exp: undefined }), 'PERMISSION_DENIED', 'TOKEN_EXPIRED'],
    ['a token for later', () => token({ nbf: seconds + 61 }), 'PERMISSION_DENIED', 'TOKEN_NOT_YET_VALID'],
    ['a token issued in the future', () => token({ iat: seconds + 61 }), 'PERMISSION_DENIED', 'TOKEN_NOT_YET_VALID'],
    [
      'a token in the short format, without the instance',
      () => token({ google: undefined }),
      'PERMISSION_DENIED',
      'TOKEN_CLAIMS',
    ],
    [
      'an instance without a project',
      () => token(withInstance({ project_id: '' })),
      'PERMISSION_DENIED',
      'TOKEN_CLAIMS',
    ],
    [
      'an instance ID that is no number',
      () => token(withInstance({ instance_id: '../1' })),
      'PERMISSION_DENIED',
      'TOKEN_CLAIMS',
    ],
    [
      'an unlisted project',
      () => token(withInstance({ project_id: 'espalier-lab-2' })),
      'PERMISSION_DENIED',
      'PROJECT_NOT_ALLOWED',
    ],
  ];
  it.each(forged)('%s', async (_name, evidence, code, refusal) => {
    await expectRefusal(attest(evidence()), code, refusal);
  });

  it('a token with one bit changed, wherever it is', async () => {
    const good = await token();
    const judge = server();
    for (let index = 0; index < good.length - 1; index += 17) {
      const other = good[index] === 'A' ? 'B' : 'A';
      const changed = good.slice(0, index) + other + good.slice(index + 1);
      await expect(judge.attest(bytes(changed), noChallenge, contextWith()), `at ${index}`).rejects.toThrow();
    }
  });

  it('an instance that has attested before', async () => {
    const attempt = attest(token(), server(), ['spiffe://example.org/spire/agent/gcp_iit/espalier-lab/5273846501']);
    await expectRefusal(
      attempt,
      'PERMISSION_DENIED',
      'ALREADY_ATTESTED',
      /^attestation data has already been used to attest an agent; to let its node attest again: spire-server agent evict -spiffeID spiffe:\/\/example.org\/spire\/agent\/gcp_iit\/espalier-lab\/5273846501$/,
    );
  });

  it('an agent path that the service account bends', async () => {
    const judge = server({ agent_path_template: '/gcp_iit/{{ .InstanceName }}' });
    await expectRefusal(
      attest(token(withInstance({ instance_name: '../../server' })), judge),
      'INTERNAL',
      'AGENT_PATH',
    );
  });

  const endpoints: [string, () => Answer][] = [
    ['fails', () => ({ status: 500 })],
    ['answers no JSON', () => ({ body: '<html>' })],
    ['answers no certificates', () => ({ body: '{"one":"x"}' })],
    ['redirects', () => ({ status: 302, headers: { Location: `${certificates.url}/elsewhere` } })],
    ['answers without end', () => ({ body: ' '.repeat(300_000) })],
  ];
  it.each(endpoints)('everything while the certificates endpoint %s', async (_name, broken) => {
    answer = broken();
    await expectRefusal(attest(token()), 'UNAVAILABLE', 'KEYS_UNAVAILABLE');
  });
});

describe('gcp_iit with the metadata of instances', () => {
  const known = {
    kind: 'compute#instance',
    id: instance.instance_id,
    tags: { items: ['web', 'public'], fingerprint: 'x' },
    labels: { tier: 'front', secret: 'no' },
    metadata: { items: [{ key: 'role', value: 'db' }, { key: 'empty' }, { key: 'ssh-keys', value: 'x'.repeat(4000) }] },
  };
  let compute: HttpService;
  let described: Answer;
  beforeAll(async () => {
    compute = await startHttpService(() => described);
  });
  afterAll(() => compute.close());
  beforeEach(() => {
    described = { body: JSON.stringify(known) };
    compute.requests.length = 0;
  });

  const accessToken = (): Promise<string> => Promise.resolve('token-1');
  const judgeWith = (more: Record<string, unknown> = {}, given = accessToken) =>
    createGcpIitServerAttestor(
      {
        projectid_allow_list: ['espalier-lab'],
        certificates_url: `${certificates.url}/certs`,
        compute_url: `${compute.url}/compute/v1`,
        use_instance_metadata: true,
        allowed_label_keys: ['tier'],
        allowed_metadata_keys: ['role', 'empty'],
        ...more,
      },
      { trustDomain, log, clock: () => time, accessToken: given },
    );
  const valuesOf = async (judge = judgeWith()): Promise<string[]> => {
    const { selectors } = await attest(token(), judge);
    return selectors.slice(4).map(({ value }) => value);
  };

  it('has tags, and the labels and metadata that are allowed', async () => {
    expect(await valuesOf()).toEqual([
      'tag:web',
      'tag:public',
      'label:tier:front',
      'metadata:role:db',
      'metadata:empty:',
    ]);
    expect(compute.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/compute/v1/projects/espalier-lab/zones/us-central1-a/instances/gcp-node-0', 'Bearer token-1'],
    ]);
  });

  it('has tags only where nothing is allowed, and nothing where nothing is there', async () => {
    expect(await valuesOf(judgeWith({ allowed_label_keys: [], allowed_metadata_keys: [] }))).toEqual([
      'tag:web',
      'tag:public',
    ]);
    described = { body: JSON.stringify({ id: instance.instance_id }) };
    expect(await valuesOf()).toEqual([]);
  });

  it('asks nobody unless it is told to', async () => {
    expect(await valuesOf(judgeWith({ use_instance_metadata: false }))).toEqual([]);
    expect(compute.requests).toEqual([]);
  });

  it('takes values up to the limit, in bytes, and refuses what is longer', async () => {
    const role = (value: string) => ({
      body: JSON.stringify({ ...known, metadata: { items: [{ key: 'role', value }] } }),
    });
    described = role('ä'.repeat(64));
    expect(await valuesOf()).toContain(`metadata:role:${'ä'.repeat(64)}`);
    described = role(`${'ä'.repeat(64)}x`);
    const message = 'metadata "role" exceeded value limit (129 > 128)';
    await expectRefusal(attest(token(), judgeWith()), 'INTERNAL', 'METADATA_TOO_LARGE', message);
    expect(await valuesOf(judgeWith({ max_metadata_value_size: 129 }))).toHaveLength(4);
  });

  it('refuses when another instance has the name by now', async () => {
    described = { body: JSON.stringify({ ...known, id: '1' }) };
    await expectRefusal(attest(token(), judgeWith()), 'PERMISSION_DENIED', 'INSTANCE_MISMATCH');
  });

  it('asks nothing about an instance that has attested before', async () => {
    const attested = ['spiffe://example.org/spire/agent/gcp_iit/espalier-lab/5273846501'];
    await expectRefusal(attest(token(), judgeWith(), attested), 'PERMISSION_DENIED', 'ALREADY_ATTESTED');
    expect(compute.requests).toEqual([]);
  });

  it.each<[string, Answer]>([
    ['says that there is none', { status: 404 }],
    ['lets us not look', { status: 403, body: 'secret' }],
    ['answers no JSON', { body: 'secret' }],
    ['answers no instance', { body: '{"id":1}' }],
    ['redirects', { status: 302, headers: { Location: 'http://127.0.0.1:1/' } }],
    ['answers without end', { body: ' '.repeat(3_000_000) }],
  ])('refuses when the API %s, and does not say what it said', async (_, broken) => {
    described = broken;
    await expectRefusal(
      attest(token(), judgeWith()),
      'INTERNAL',
      'CLOUD_UNAVAILABLE',
      /^failed to fetch instance metadata$/,
    );
  });

  it('refuses when there is no access token, and does not wait for one beyond its time', async () => {
    const none = () => Promise.reject(new Error('no rights'));
    await expectRefusal(attest(token(), judgeWith({}, none)), 'INTERNAL', 'CLOUD_UNAVAILABLE');
    const late = new AbortController();
    const never = () => new Promise<string>(() => late.abort());
    const attempt = judgeWith({}, never).attest(bytes(await token()), noChallenge, {
      ...contextWith(),
      signal: late.signal,
    });
    await expectRefusal(attempt, 'INTERNAL', 'CLOUD_UNAVAILABLE');
    expect(compute.requests).toEqual([]);
  });
});

describe('the keys of gcp_iit', () => {
  it('are read once while they are fresh, also by many at once, and again after that', async () => {
    const judge = server();
    await Promise.all([attest(token(), judge), attest(token(), judge), attest(token(), judge)]);
    expect(certificates.requests).toHaveLength(1);
    time = now + 3_600_001;
    answer = { body: JSON.stringify({ one: stranger.pem }) };
    const iat = seconds + 3600;
    await expectRefusal(attest(token({ iat, exp: iat + 60 }), judge), 'INVALID_ARGUMENT', 'TOKEN_SIGNATURE');
    expect(certificates.requests).toHaveLength(2);
  });

  it('are read again for an unknown key, but not for each', async () => {
    const judge = server();
    await attest(token(), judge);
    answer = { ...fresh(), body: JSON.stringify({ one: google.pem, two: stranger.pem }) };
    time = now + 9_000;
    await expectRefusal(attest(token({}, { kid: 'two' }, stranger), judge), 'INVALID_ARGUMENT', 'TOKEN_KEY_UNKNOWN');
    time = now + 11_000;
    await expect(attest(token({}, { kid: 'two' }, stranger), judge)).resolves.toBeDefined();
    for (const kid of ['three', 'four', 'five']) {
      await expectRefusal(attest(token({}, { kid }), judge), 'INVALID_ARGUMENT', 'TOKEN_KEY_UNKNOWN');
    }
    expect(certificates.requests).toHaveLength(2);
  });
});

describe('the configuration of gcp_iit', () => {
  it.each<[Record<string, unknown>, RegExp]>([
    [{ projectid_allow_list: [] }, /projectid_allow_list is required/],
    [{ projectid_allow_list: undefined }, /projectid_allow_list/],
    [{ project_id_allow_list: ['x'] }, /unknown key "project_id_allow_list"/],
    [{ certificates_url: 'http://keys.example.com/' }, /must be https/],
    [{ certificates_url: 'http://127.0.0.1.example.com/' }, /must be https/],
    [{ use_instance_metadata: 'yes' }, /use_instance_metadata/],
    [{ max_metadata_value_size: -1 }, /max_metadata_value_size/],
    [{ compute_url: 'http://compute.example.com/' }, /must be https/],
    [
      { service_account_file: '/none/account.json' },
      /service_account_file: \/none\/account.json is not readable: ENOENT/,
    ],
    [{ service_account_file: import.meta.filename }, /service_account_file: .* is not readable: not JSON/],
    [{ service_account_file: 'package.json' }, /package.json is not the key file of a service account/],
    [{ agent_path_template: '/{{ upper .Zone }}' }, /not supported/],
  ])('refuses %j', (data, message) => {
    expect(() => server(data)).toThrow(message);
  });
});

function withInstance(more: Record<string, unknown>): Claims {
  return { google: { compute_engine: { ...instance, ...more } } };
}
