// gcp_iit's server half against a certificates endpoint of our own: tokens that Google would sign, and the ones it would not.
import { createHmac } from 'node:crypto';
import * as jose from 'jose';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AttestCode, AttestRefusal } from '../../../../runtime/attest/attest-error.ts';
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
    await expectRefusal(attempt, 'PERMISSION_DENIED', 'ALREADY_ATTESTED', 'attestation data has already been used');
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
    [{ use_instance_metadata: true }, /not supported/],
    [{ agent_path_template: '/{{ upper .Zone }}' }, /not supported/],
  ])('refuses %j', (data, message) => {
    expect(() => server(data)).toThrow(message);
  });
});

function withInstance(more: Record<string, unknown>): Claims {
  return { google: { compute_engine: { ...instance, ...more } } };
}
