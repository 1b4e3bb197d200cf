// Nothing secret is in what was recorded; and a secret of every shape, put into every place that a history has for data, is found.
import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { History } from './history-json.ts';
import { createTestCa } from '../runtime/rpc/test-ca.ts';
import { recordedHistories } from './recorded.ts';
import { findSecrets } from './secret-shapes.ts';

const base64 = (text: string | Uint8Array): string => Buffer.from(text).toString('base64');
const json = (value: unknown) => ({
  metadata: { encoding: base64('json/plain') },
  data: base64(JSON.stringify(value)),
});
const binary = (bytes: Uint8Array) => ({ metadata: { encoding: base64('binary/plain') }, data: base64(bytes) });

/** A history of one event. */
const of = (attributes: object): History => ({
  events: [{ eventId: '1', eventType: 'EVENT_TYPE_UNSPECIFIED', ...attributes }],
});
/** A history in which an activity was given this. */
const given = (value: unknown): History =>
  of({ activityTaskScheduledEventAttributes: { input: { payloads: [json(value)] } } });
const shapesIn = (history: History): string[] => [...new Set(findSecrets(history).map(({ shape }) => shape))];

const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ed = generateKeyPairSync('ed25519');
const der = (key: typeof ec.privateKey, type: 'pkcs8' | 'sec1' | 'pkcs1') =>
  key.export({ type: type as 'pkcs8', format: 'der' });
const pem = (key: typeof ec.privateKey, type: string) =>
  key.export({ type: type as 'pkcs8', format: 'pem' }).toString();
const encrypted = { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' } as const;
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const jwt = `${part({ alg: 'ES256' })}.${part({ sub: 'spiffe://example.org/a' })}.${randomBytes(64).toString('base64url')}`;
const awsSecret = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'; // the one of AWS's documentation
const identityDocument = { accountId: '000000000077', instanceId: 'i-1', region: 'us-east-1' };
const certificate = createTestCa('example.org').downstream().issue('/prod/gcp/demo/workload-a');
/** SEQUENCE of unknown length, OBJECT IDENTIFIER signedData, and what follows. */
const pkcs7 = Buffer.from(`308006092a864886f70d010702a080${'00'.repeat(40)}`, 'hex');

const planted: readonly (readonly [name: string, shape: string, value: unknown])[] = [
  ['a PKCS#8 key as PEM', 'private key (PEM)', pem(ec.privateKey, 'pkcs8')],
  ['an EC key as PEM inside a script', 'private key (PEM)', `cat <<E\n${pem(ec.privateKey, 'sec1')}E\n`],
  ['an RSA key as PEM', 'private key (PEM)', pem(rsa.privateKey, 'pkcs1')],
  ['an encrypted key as PEM', 'private key (PEM)', ec.privateKey.export(encrypted).toString()],
  ['a P-256 key as PKCS#8 in base64', 'private key (PKCS#8)', base64(der(ec.privateKey, 'pkcs8'))],
  ['an RSA key as PKCS#8 in base64', 'private key (PKCS#8)', base64(der(rsa.privateKey, 'pkcs8'))],
  [
    'an Ed25519 key as PKCS#8 in base64url',
    'private key (PKCS#8)',
    Buffer.from(der(ed.privateKey, 'pkcs8')).toString('base64url'),
  ],
  ['a key in hexadecimal', 'private key (PKCS#8)', Buffer.from(der(ec.privateKey, 'pkcs8')).toString('hex')],
  ['a key in base64 after other letters', 'private key (PKCS#8)', `key${base64(der(ec.privateKey, 'pkcs8'))}`],
  ['an EC key as SEC 1 in base64', 'private key (SEC 1)', base64(der(ec.privateKey, 'sec1'))],
  ['an RSA key as PKCS#1 in base64', 'private key (PKCS#1)', base64(der(rsa.privateKey, 'pkcs1'))],
  ['a key as a Buffer', 'private key (PKCS#8)', { made: Buffer.from(der(ec.privateKey, 'pkcs8')) }],
  ['a key as a Uint8Array', 'private key (PKCS#8)', { made: new Uint8Array(der(ec.privateKey, 'pkcs8')) }],
  ['a key as a list of numbers', 'private key (PKCS#8)', [...der(ec.privateKey, 'pkcs8')]],
  ['an EC key as JWK', 'private key (JWK)', { keys: [ec.privateKey.export({ format: 'jwk' })] }],
  [
    'an RSA key as JWK in text',
    'private key (JWK)',
    `key: ${JSON.stringify(rsa.privateKey.export({ format: 'jwk' }))}`,
  ],
  ['a symmetric JWK', 'private key (JWK)', { kty: 'oct', k: randomBytes(32).toString('base64url') }],
  ['a JWT', 'JWT', jwt],
  ['a JWT in a sentence', 'JWT', `refused: ${jwt}, want another`],
  ['a join token', 'join token', { token: randomUUID() }],
  ['a join token by a longer name', 'join token', { agent: { joinToken: randomUUID() } }],
  ['a join token on a command line', 'join token', 'spire-agent run -joinToken a-word-of-our-own -config x'],
  ['a join token in a configuration', 'join token', 'agent { join_token = "a-word-of-our-own" }'],
  ['an identity document', 'identity document', identityDocument],
  ['an identity document as text', 'identity document', { document: JSON.stringify(identityDocument) }],
  ['the RSA signature of an identity document', 'identity document', { rsa2048: base64(pkcs7) }],
  ['a signature', 'identity document', { signature: base64(randomBytes(128)) }],
  ['a signed document in base64', 'PKCS#7 document', base64(pkcs7)],
  ['a password in a URL', 'password in a URL', 'postgres://espalier_1:0f0e@127.0.0.1:5432/espalier_1'],
  ['a password in a URL, in an environment file', 'password in a URL', 'A=b\nDATABASE_URL=postgresql://u:p%40@h/d\n'],
  ['a password in a statement', 'password', "ALTER ROLE espalier LOGIN PASSWORD 'abc'"],
  ['a password by its name', 'password', { database: { password: 'abc' } }],
  ["AWS's secret key by its name", 'AWS secret key', { secretAccessKey: 'abc' }],
  ["AWS's secret key in a file", 'AWS secret key', `[default]\naws_secret_access_key = ${awsSecret}`],
  ["AWS's secret key alone", 'AWS secret key', ['AKIAIOSFODNN7EXAMPLE', awsSecret]],
  ["a cloud's access token", 'GCP access token', { accessToken: 'abc' }],
  ['an authorization header', 'bearer token', { headers: ['authorization: Bearer abcdefghijklmnop'] }],
  [
    'a secret in a script that is base64 itself',
    'password in a URL',
    base64('#!/bin/sh\nexport U=postgres://u:pw@h/d\n'),
  ],
  ["a secret as a map's key", 'JWT', { [jwt]: true }],
];

/** Every place of a history in which data travels. */
const places: readonly (readonly [name: string, put: (value: unknown) => object])[] = [
  [
    "a workflow's input",
    (value) => ({ workflowExecutionStartedEventAttributes: { input: { payloads: [json(1), json(value)] } } }),
  ],
  [
    "a workflow's memo",
    (value) => ({ workflowExecutionStartedEventAttributes: { memo: { fields: { note: json(value) } } } }),
  ],
  [
    'a header',
    (value) => ({ workflowExecutionStartedEventAttributes: { header: { fields: { trace: json(value) } } } }),
  ],
  [
    "an activity's result",
    (value) => ({ activityTaskCompletedEventAttributes: { result: { payloads: [json(value)] } } }),
  ],
  [
    "a child's input",
    (value) => ({ startChildWorkflowExecutionInitiatedEventAttributes: { input: { payloads: [json(value)] } } }),
  ],
  [
    "a signal's input",
    (value) => ({ workflowExecutionSignaledEventAttributes: { input: { payloads: [json(value)] } } }),
  ],
  [
    'a search attribute',
    (value) => ({
      upsertWorkflowSearchAttributesEventAttributes: { searchAttributes: { indexedFields: { A: json(value) } } },
    }),
  ],
  [
    "a failure's details",
    (value) => ({
      activityTaskFailedEventAttributes: {
        failure: { cause: { applicationFailureInfo: { details: { payloads: [json(value)] } } } },
      },
    }),
  ],
  [
    'the last heartbeat',
    (value) => ({
      activityTaskTimedOutEventAttributes: {
        failure: { timeoutFailureInfo: { lastHeartbeatDetails: { payloads: [json(value)] } } },
      },
    }),
  ],
  [
    "a cancelled activity's details",
    (value) => ({ activityTaskCanceledEventAttributes: { details: { payloads: [json(value)] } } }),
  ],
  [
    "a failure's encoded attributes",
    (value) => ({ activityTaskFailedEventAttributes: { failure: { encodedAttributes: json({ message: value }) } } }),
  ],
];

describe('findSecrets', () => {
  it('finds nothing in what was recorded', () => {
    const found = recordedHistories().flatMap(({ name, history }) =>
      findSecrets(history).map(({ shape, place }) => `${name}: ${shape} at ${place}`),
    );
    expect(found).toEqual([]);
  });

  it('finds one that is planted in what was recorded', () => {
    const { history } = recordedHistories().find(({ name }) => name === 'trustChange/success')!;
    const index = history.events.findIndex((event) => 'activityTaskCompletedEventAttributes' in event);
    const leaky = {
      ...history.events[index]!,
      activityTaskCompletedEventAttributes: { result: { payloads: [json(jwt)] } },
    };
    expect(findSecrets({ events: history.events.with(index, leaky) })).toEqual([
      { shape: 'JWT', place: `events[${index}].activityTaskCompletedEventAttributes.result.payloads[0]` },
    ]);
  });

  it.each(planted)('finds %s', (_, shape, value) => {
    expect(shapesIn(given({ inner: [value] }))).toContain(shape);
    expect(shapesIn(given(value))).toContain(shape);
  });

  it.each(places)('looks into %s', (_, put) => {
    expect(shapesIn(of(put({ a: [jwt] })))).toEqual(['JWT']);
  });

  it.each(['message', 'stackTrace'])("looks into a failure's %s", (field) => {
    const failure = { message: 'x', cause: { [field]: `at postgres://u:pw@h/d` } };
    expect(shapesIn(of({ activityTaskFailedEventAttributes: { failure } }))).toEqual(['password in a URL']);
  });

  it('looks into a payload whose encoding it does not know', () => {
    const payloads = [binary(der(ec.privateKey, 'pkcs8')), binary(Buffer.from(jwt))];
    expect(shapesIn(of({ activityTaskCompletedEventAttributes: { result: { payloads } } }))).toEqual([
      'private key (PKCS#8)',
      'JWT',
    ]);
  });

  it('says where, and never what', () => {
    expect(findSecrets(given({ plan: { tokens: [jwt] } }))).toEqual([
      { shape: 'JWT', place: 'events[0].activityTaskScheduledEventAttributes.input.payloads[0].plan.tokens[0]' },
    ]);
  });

  it.each([
    ['certificates as PEM', certificate.certificateChainPem],
    ['certificates as DER', base64(certificate.certificate.der)],
    ['public keys as PEM', rsa.publicKey.export({ type: 'spki', format: 'pem' })],
    ['public keys as JWK', ec.publicKey.export({ format: 'jwk' })],
    ['public keys as DER', base64(ec.publicKey.export({ type: 'spki', format: 'der' }))],
    ['digests', { sha256: 'ab'.repeat(32), sha1: '0123456789abcdef0123456789abcdef01234567' }],
    ['ids of runs', { owner: randomUUID(), requestId: randomUUID() }],
    ['names of secrets', { secrets: ['espalier-b972498b-gcp-database'] }],
    ['addresses without a password', { url: 'http://127.0.0.1:43759/espalier.tar.gz', image: 'postgres://h:5432/d' }],
    ['instances', { instanceId: 'i-1', awsAccount: '000000000077' }],
    ['selectors', ['x509pop:subject:cn:a', 'aws_iid:account_id:000000000077', 'unix:path:/image/opt/demo/workload-a']],
  ])('leaves %s alone', (_, value) => {
    expect(findSecrets(given(value))).toEqual([]);
  });
});
