// What a stream sends, request by request and change by change.
import { beforeEach, describe, expect, it } from 'vitest';
import type { WorkloadUpdate } from '../../../../runtime/agent/cache/svid-cache.ts';
import { Subscription } from '../../../../runtime/agent/sds/subscription.ts';
import { emptyBundle } from '../../../../runtime/spiffe/bundle.ts';
import { parseTrustDomain } from '../../../../runtime/spiffe/trust-domain.ts';
import { ask, readSecrets } from '../../../support/envoy-secrets.ts';

const update: WorkloadUpdate = {
  identities: [],
  bundle: emptyBundle(parseTrustDomain('example.org')),
  federatedBundles: [],
};
let subscription: Subscription;
let logged: string[];

beforeEach(() => {
  let nonces = 0;
  logged = [];
  const take = (_fields: object, message?: string) => void logged.push(message ?? '');
  subscription = new Subscription({
    config: {
      defaultSvidName: 'default',
      defaultBundleName: 'ROOTCA',
      defaultAllBundlesName: 'ALL',
      disableSpiffeCertValidation: false,
    },
    nextNonce: () => `nonce-${(nonces += 1)}`,
    log: { debug: () => undefined, warn: take, error: take } as never,
  });
});

const take = (...request: Parameters<typeof ask>) => subscription.take(ask(...request));
/** The stream as it is when the first answer has been sent. */
function begin(): void {
  subscription.renew(update);
  take(['ROOTCA']);
}
const ack = { versionInfo: '1', responseNonce: 'nonce-1' };

describe('nothing is sent', () => {
  it('before there is news for the workload', () => {
    expect(take(['ROOTCA'])).toBeUndefined();
  });

  it('before the first request', () => {
    expect(subscription.renew(update)).toBeUndefined();
  });

  it('for an acknowledgement', () => {
    begin();
    expect(take(['ROOTCA'], ack)).toBeUndefined();
    expect(logged).toEqual([]);
  });

  it('for a rejection, which the log has', () => {
    begin();
    const errorDetail = { code: 13, message: 'bad certificate', details: [] };
    expect(take(['ROOTCA'], { versionInfo: '', responseNonce: 'nonce-1', errorDetail })).toBeUndefined();
    expect(logged).toEqual([
      'Envoy reported errors applying secrets',
      'Client rejected expected version and rolled back',
    ]);
  });

  it('for a request with another nonce than that of the last answer', () => {
    begin();
    subscription.renew(update);
    expect(take(['ALL'], ack)).toBeUndefined();
    expect(take(['ALL'], { versionInfo: '2', responseNonce: '' })).toBeUndefined();
    expect(logged).toEqual([
      'Received unexpected nonce; ignoring request',
      'Received unexpected nonce; ignoring request',
    ]);
  });

  it('for the same names in another order', () => {
    subscription.renew(update);
    take(['ROOTCA', '']);
    expect(take(['', 'ROOTCA'], ack)).toBeUndefined();
  });
});

describe('an answer', () => {
  it('has the version of the news, a nonce, and the type that was asked for', () => {
    subscription.renew(update);
    subscription.renew(update);
    const answer = take(['ROOTCA']);
    expect({ ...answer, resources: readSecrets(answer!.resources).map(({ name }) => name) }).toEqual({
      versionInfo: '2',
      nonce: 'nonce-1',
      typeUrl: ask([]).typeUrl,
      canary: false,
      controlPlane: undefined,
      resources: ['ROOTCA'],
    });
  });

  it('comes with the news where the request came first', () => {
    take(['ROOTCA']);
    expect(subscription.renew(update)).toMatchObject({ versionInfo: '1', nonce: 'nonce-1' });
  });

  it('comes again with each change, acknowledged or not', () => {
    begin();
    expect(subscription.renew(update)).toMatchObject({ versionInfo: '2', nonce: 'nonce-2' });
    expect(subscription.renew(update)).toMatchObject({ versionInfo: '3', nonce: 'nonce-3' });
  });

  it('comes at once for other names, even within a rejection', () => {
    begin();
    const answer = take(['ALL'], { versionInfo: '0', responseNonce: 'nonce-1' });
    expect(readSecrets(answer!.resources).map(({ name }) => name)).toEqual(['ALL']);
    expect(answer).toMatchObject({ versionInfo: '1', nonce: 'nonce-2' });
  });

  it('keeps to what the first request said of the Envoy', () => {
    subscription.renew(update);
    const node = {
      id: 'n',
      cluster: '',
      metadata: { disable_spiffe_cert_validation: true },
      userAgentName: '',
      userAgentVersionType: undefined,
    };
    expect(readSecrets(take(['ROOTCA'], { node })!.resources)).toEqual([{ name: 'ROOTCA', roots: '' }]);
    take(['ROOTCA'], ack);
    expect(readSecrets(subscription.renew(update)!.resources)).toEqual([{ name: 'ROOTCA', roots: '' }]);
  });
});
