// The first bundle, fetched over a real connection from a server that nobody can verify yet: what a console says decides.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyFirstBundle } from '../../../activities/control/first-bundle.ts';
import { serverPort } from '../../../activities/plan.ts';
import { Bundle } from '../../../proto/gen/spire/api/types/bundle.ts';
import { BundleService } from '../../../proto/gen/spire/api/server/bundle/v1/bundle.ts';
import { certificatesFromPem } from '../../../runtime/pki/pem.ts';
import { createRpcServer } from '../../../runtime/rpc/server.ts';
import {
  invalidArgument,
  permissionDenied,
  resourceExhausted,
  unavailable,
  unimplemented,
} from '../../../runtime/rpc/status.ts';
import { createTestCa } from '../../runtime/rpc/test-ca.ts';
import { ownAddress } from '../../support/own-address.ts';

const trustDomain = 'example.org';
const server = { trustDomain, address: ownAddress }; // its port is fixed
const [ca, other] = [createTestCa(trustDomain), createTestCa(trustDomain)];
const digestOf = (der: Uint8Array): string => createHash('sha256').update(der).digest('hex');
const [known, unknown] = [digestOf(ca.root.der), digestOf(other.root.der)];

const rpc = createRpcServer();
let answer: () => Bundle;
const answerWith = (...authorities: Uint8Array[]): void => {
  answer = () => Bundle.create({ trustDomain, x509Authorities: authorities.map((asn1) => ({ asn1, tainted: false })) });
};
beforeAll(async () => {
  rpc.addService(BundleService, { getBundle: async () => answer() });
  const svid = ca.issue('/spire/server');
  await rpc.listenTls({ host: ownAddress, port: serverPort, credentials: () => svid, verifyPeer: () => undefined });
});
beforeEach(() => answerWith(ca.root.der));
afterAll(() => rpc.close(50));

describe('verifyFirstBundle', () => {
  it('returns the authorities whose digests a console shows', async () => {
    const pem = await verifyFirstBundle(server, [known]);
    expect(certificatesFromPem(pem).map(digestOf)).toEqual([known]);
  });

  it('returns all of them where each is on a console', async () => {
    answerWith(ca.root.der, other.root.der);
    const pem = await verifyFirstBundle(server, [unknown, known, 'ab'.repeat(32)]);
    expect(certificatesFromPem(pem).map(digestOf)).toEqual([known, unknown]);
  });

  it('refuses an authority that is on no console', async () => {
    answerWith(other.root.der);
    await expect(verifyFirstBundle(server, [known])).rejects.toMatchObject({
      type: 'TrustViolation',
      nonRetryable: true,
      message: `authority ${unknown} in the bundle of server ${ownAddress} is on no upstream's console`,
    });
  });

  it('refuses the whole bundle for one authority too many', async () => {
    answerWith(ca.root.der, other.root.der);
    await expect(verifyFirstBundle(server, [known])).rejects.toMatchObject({ type: 'TrustViolation' });
  });

  it('refuses every authority while the consoles show none', async () => {
    await expect(verifyFirstBundle(server, [])).rejects.toMatchObject({ type: 'TrustViolation' });
  });

  it('refuses a digest that only begins alike', async () => {
    await expect(verifyFirstBundle(server, [known.slice(0, 63)])).rejects.toMatchObject({ type: 'TrustViolation' });
  });

  it('refuses the bundle of another trust domain', async () => {
    const fair = answer();
    answer = () => ({ ...fair, trustDomain: 'example.com' });
    await expect(verifyFirstBundle(server, [known])).rejects.toMatchObject({
      type: 'TrustViolation',
      message: `server ${ownAddress} has the bundle of "example.com", want example.org`,
    });
  });

  it('asks again while the bundle has no authority', async () => {
    answerWith();
    await expect(verifyFirstBundle(server, [known])).rejects.toMatchObject({ type: 'NotReady', nonRetryable: false });
  });

  it.each([
    ['INVALID_ARGUMENT', 'InvalidRequest', invalidArgument],
    ['UNIMPLEMENTED', 'Unsupported', unimplemented],
    ['RESOURCE_EXHAUSTED', 'QuotaExceeded', resourceExhausted],
    ['UNAVAILABLE', 'Unavailable', unavailable],
    ['PERMISSION_DENIED', 'Unavailable', permissionDenied],
  ])('answers %s of the server as %s', async (code, type, refuse) => {
    answer = () => {
      throw refuse('not now');
    };
    await expect(verifyFirstBundle(server, [known])).rejects.toMatchObject({
      type,
      message: `server ${ownAddress}: ${code}: not now`,
    });
  });

  it('asks again where nobody listens', async () => {
    await expect(verifyFirstBundle({ trustDomain, address: '127.88.255.254' }, [known])).rejects.toMatchObject({
      type: 'Unavailable',
    });
  });
});
