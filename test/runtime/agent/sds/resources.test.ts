// Which secrets answer which names, for Envoys of different ages and settings.
import { describe, expect, it } from 'vitest';
import type { WorkloadUpdate } from '../../../../runtime/agent/cache/svid-cache.ts';
import type { WorkloadSvid } from '../../../../runtime/agent/cache/workload-svid.ts';
import { resourcesFor } from '../../../../runtime/agent/sds/resources.ts';
import { certificatesToPem, encodePem } from '../../../../runtime/pki/pem.ts';
import { statusCode } from '../../../../runtime/rpc/status.ts';
import type { TrustBundle } from '../../../../runtime/spiffe/bundle.ts';
import { createSpiffeId } from '../../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { ask, readSecrets } from '../../../support/envoy-secrets.ts';
import type { AgentEntry } from '../../../../runtime/agent/sync/entry.ts';

const config = {
  defaultSvidName: 'default',
  defaultBundleName: 'ROOTCA',
  defaultAllBundlesName: 'ALL',
  disableSpiffeCertValidation: false,
};
const bytes = (text: string): Uint8Array => Buffer.from(text);

function bundleOf(name: string): TrustBundle {
  return {
    trustDomain: parseTrustDomain(name),
    x509Authorities: [{ asn1: bytes(`root of ${name}`), tainted: false }],
    jwtAuthorities: [],
    refreshHintSeconds: 0,
    sequenceNumber: 0,
  };
}

function identityOf(path: string) {
  const spiffeId = createSpiffeId(parseTrustDomain('example.org'), path);
  const svid = { chain: [bytes(`leaf ${path}`), bytes('intermediate')], privateKey: bytes(`key ${path}`) };
  return { entry: { spiffeId } as AgentEntry, svid: svid as unknown as WorkloadSvid };
}

const update: WorkloadUpdate = {
  identities: [identityOf('/one'), identityOf('/two')],
  bundle: bundleOf('example.org'),
  federatedBundles: [bundleOf('federated.org')],
};

const rootPem = certificatesToPem([bytes('root of example.org')]);
const federatedPem = certificatesToPem([bytes('root of federated.org')]);
const certificateOf = (path: string, name = `spiffe://example.org${path}`) => ({
  name,
  certificate: certificatesToPem([bytes(`leaf ${path}`), bytes('intermediate')]),
  key: encodePem('PRIVATE KEY', bytes(`key ${path}`)),
});
const trusting = (name: string, trustDomains: Record<string, string>) => ({ name, trustDomains });
const own = 'spiffe://example.org';
const foreign = 'spiffe://federated.org';

const secretsFor = (names: readonly string[], rest = {}, changes = {}) =>
  readSecrets(resourcesFor(ask(names, rest), update, { ...config, ...changes }));

describe('a request is refused whole', () => {
  it.each([
    [['spiffe://example.org/three'], '["spiffe://example.org/three"]'],
    [['default', 'z', 'a'], '["a" "z"]'],
    [['spiffe://other.org'], '["spiffe://other.org"]'],
    // One name for the bundle in one answer, as in SPIRE.
    [[own, 'ROOTCA'], '["ROOTCA"]'],
    [['ROOTCA', 'ALL'], '["ALL"]'],
    // Nor two for the first identity.
    [['spiffe://example.org/one', 'default'], '["default"]'],
  ])('for %j', (names, left) => {
    expect(() => secretsFor(names)).toThrow(
      expect.objectContaining({
        code: statusCode.INVALID_ARGUMENT,
        message: `workload is not authorized for the requested identities ${left}`,
      }),
    );
  });

  it('for an identity where there is none', () => {
    const nobody = { ...update, identities: [] };
    expect(() => resourcesFor(ask(['default']), nobody, config)).toThrow('["default"]');
  });

  it.each([
    [{ disableSpiffeCertValidation: true }, {}],
    [{}, { node: envoy(1, 17) }],
  ])('for ALL where Envoy would not use its SPIFFE validator: %j', (changes, rest) => {
    expect(() => secretsFor(['ALL'], rest, changes)).toThrow(
      expect.objectContaining({
        code: statusCode.INTERNAL,
        message: 'unable to use "SPIFFE validator" on Envoy below 1.17',
      }),
    );
  });
});

describe('names', () => {
  it.each([
    ['spiffe://example.org/two', certificateOf('/two')],
    ['default', certificateOf('/one', 'default')],
    ['ROOTCA', trusting('ROOTCA', { 'example.org': rootPem })],
    [own, trusting(own, { 'example.org': rootPem })],
    [foreign, trusting(foreign, { 'federated.org': federatedPem })],
    ['ALL', trusting('ALL', { 'example.org': rootPem, 'federated.org': federatedPem })],
  ])('%s', (name, secret) => {
    expect(secretsFor([name])).toEqual([secret]);
  });

  it('several at once, the bundles first', () => {
    expect(secretsFor(['spiffe://example.org/one', 'ROOTCA']).map(({ name }) => name)).toEqual([
      'ROOTCA',
      'spiffe://example.org/one',
    ]);
  });

  it.each([[[]], [['']]])('none is all: %j', (names) => {
    expect(secretsFor(names)).toEqual([
      trusting(own, { 'example.org': rootPem }),
      trusting(foreign, { 'federated.org': federatedPem }),
      certificateOf('/one'),
      certificateOf('/two'),
    ]);
  });

  it('may be set', () => {
    const changes = { defaultSvidName: 'me', defaultBundleName: 'us', defaultAllBundlesName: 'everyone' };
    expect(secretsFor(['me', 'us'], {}, changes).map(({ name }) => name)).toEqual(['us', 'me']);
    expect(secretsFor(['everyone'], {}, changes).map(({ name }) => name)).toEqual(['everyone']);
    expect(() => secretsFor(['default'], {}, changes)).toThrow('["default"]');
  });
});

function envoy(majorNumber: number, minorNumber: number, metadata?: Record<string, unknown>) {
  return {
    id: '',
    cluster: '',
    metadata,
    userAgentName: 'envoy',
    userAgentVersionType: {
      $case: 'userAgentBuildVersion' as const,
      value: { version: { majorNumber, minorNumber, patch: 0 }, metadata: undefined },
    },
  };
}

describe('roots without the SPIFFE validator', () => {
  const plain = [{ name: 'ROOTCA', roots: rootPem }];
  const withValidator = [trusting('ROOTCA', { 'example.org': rootPem })];
  const key = 'disable_spiffe_cert_validation';

  it.each([
    ['an Envoy before 1.18', { node: envoy(1, 17) }, false, plain],
    [
      'an Envoy that tells no version',
      { node: { ...envoy(1, 17), userAgentVersionType: undefined } },
      false,
      withValidator,
    ],
    ['Envoy 1.18', { node: envoy(1, 18) }, false, withValidator],
    ['Envoy 2.0', { node: envoy(2, 0) }, false, withValidator],
    ['the configuration', {}, true, plain],
    ['Envoy itself', { node: envoy(1, 30, { [key]: true }) }, false, plain],
    ['Envoy itself, in words', { node: envoy(1, 30, { [key]: 'TRUE' }) }, false, plain],
    ['Envoy itself against the configuration', { node: envoy(1, 30, { [key]: 'false' }) }, true, withValidator],
    ['no word that Go knows', { node: envoy(1, 30, { [key]: 'no' }) }, true, plain],
    ['no boolean', { node: envoy(1, 30, { [key]: 1 }) }, false, withValidator],
  ])('%s', (_, rest, disableSpiffeCertValidation, secrets) => {
    expect(secretsFor(['ROOTCA'], rest, { disableSpiffeCertValidation })).toEqual(secrets);
  });
});
