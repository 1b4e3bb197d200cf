// Changes of federation: a bundle that is updated, relationships that come, change and go.
import { randomUUID } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { FederationRelationshipMask } from '../../../proto/gen/spire/api/types/federationrelationship.ts';
import type { FederationRelationship } from '../../../proto/gen/spire/api/types/federationrelationship.ts';
import { issueSelfSignedCa, issueX509Svid } from '../../../runtime/pki/issue.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { certificatesToPem } from '../../../runtime/pki/pem.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { encodeSpiffeBundle } from '../../../runtime/spiffe/bundle-document.ts';
import { emptyBundle } from '../../../runtime/spiffe/bundle.ts';
import type { TrustBundle } from '../../../runtime/spiffe/bundle.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { parseTrustDomain } from '../../../runtime/spiffe/trust-domain.ts';
import { alreadyExists, checkResults, exists, newForeignBundles, notFound, outputMask, share } from './change.ts';
import type { Prepare } from './change.ts';
import type { CutStage } from './cut-stage.ts';

/** Nobody listens there: what is fetched in the background comes to nothing. */
const nobody = 'https://127.0.0.1:1/bundle';
const elsewhere = 'https://127.0.0.1:2/bundle';

function newRelationship(): FederationRelationship {
  return {
    trustDomain: `${randomUUID()}.test`,
    bundleEndpointUrl: nobody,
    bundleEndpointProfile: { $case: 'httpsWeb', value: {} },
    trustDomainBundle: undefined,
  };
}

async function create({ federation }: CutStage, wanted: readonly FederationRelationship[]): Promise<void> {
  const federationRelationships = [...wanted];
  const { results } = await federation.batchCreateFederationRelationship({ federationRelationships, outputMask });
  checkResults(results, alreadyExists);
}

export const federationChanges = {
  async BatchUpdateFederatedBundle({ bundle }) {
    const [before] = newForeignBundles();
    checkResults((await bundle.batchCreateFederatedBundle({ bundle: [before!], outputMask })).results);
    const wanted = { bundle: [{ ...before!, refreshHint: 90 }], inputMask: undefined, outputMask };
    return {
      make: async () => checkResults((await bundle.batchUpdateFederatedBundle(wanted)).results),
      async measure() {
        const { trustDomain } = before!;
        return Number((await bundle.getFederatedBundle({ trustDomain, outputMask })).refreshHint === 90);
      },
    };
  },
  async BatchCreateFederationRelationship(stage) {
    const wanted = [newRelationship()];
    return {
      make: () => create(stage, wanted),
      measure: () =>
        share(wanted, ({ trustDomain }) =>
          exists(() => stage.federation.getFederationRelationship({ trustDomain, outputMask })),
        ),
    };
  },
  async BatchUpdateFederationRelationship(stage) {
    const before = newRelationship();
    await create(stage, [before]);
    const { trustDomain } = before;
    const federationRelationships = [{ ...before, bundleEndpointUrl: elsewhere }];
    const inputMask = FederationRelationshipMask.create({ bundleEndpointUrl: true });
    const asked = { federationRelationships, inputMask, outputMask };
    return {
      make: async () => checkResults((await stage.federation.batchUpdateFederationRelationship(asked)).results),
      async measure() {
        const now = await stage.federation.getFederationRelationship({ trustDomain, outputMask });
        return Number(now.bundleEndpointUrl === elsewhere);
      },
    };
  },
  async BatchDeleteFederationRelationship(stage) {
    const before = newRelationship();
    await create(stage, [before]);
    const trustDomains = [before.trustDomain];
    return {
      make: async () =>
        checkResults((await stage.federation.batchDeleteFederationRelationship({ trustDomains })).results, notFound),
      measure: () =>
        share(
          trustDomains,
          async (trustDomain) =>
            !(await exists(() => stage.federation.getFederationRelationship({ trustDomain, outputMask }))),
        ),
    };
  },
  async RefreshBundle(stage) {
    const foreign = await serveForeignBundle();
    await create(stage, [foreign.relationship]);
    const { trustDomain } = foreign.relationship;
    // A new relationship is looked at once by itself.
    await foreign.asked();
    foreign.serve(2);
    return {
      make: () => stage.federation.refreshBundle({ trustDomain }),
      measure: async () =>
        Number((await stage.bundle.getFederatedBundle({ trustDomain, outputMask })).sequenceNumber === 2),
    };
  },
} satisfies Readonly<Record<string, Prepare>>;

/** An `https_spiffe` endpoint of another trust domain; it serves until this process ends. */
async function serveForeignBundle() {
  const name = `${randomUUID()}.test`;
  const [trustDomain, now] = [parseTrustDomain(name), Date.now()];
  const lasting = { notBefore: now - 10_000, notAfter: now + 86_400_000 };
  const signer = signerOf(generateKeyPairSync('ec-p256').privateKey);
  const subject = { country: 'US', organization: 'SPIFFE' };
  const certificate = issueSelfSignedCa({ signer, subject, spiffeId: parseSpiffeId(`spiffe://${name}`), ...lasting });
  const { publicKey, privateKey } = generateKeyPairSync('ec-p256');
  const endpoint = `spiffe://${name}/endpoint`;
  const issuer = { certificate, signer };
  const notAfter = certificate.notAfter - 1_000;
  const svid = issueX509Svid({ issuer, publicKey, spiffeId: parseSpiffeId(endpoint), ...lasting, notAfter });
  const bundleOf = (sequenceNumber: number): TrustBundle => ({
    ...emptyBundle(trustDomain),
    x509Authorities: [{ asn1: certificate.der }],
    // What is fetched in the background would take the place of what is asked for.
    refreshHintSeconds: 86_400,
    sequenceNumber,
  });
  let served = 1;
  let answered = (): void => undefined;
  const asked = new Promise<void>((resolve) => (answered = resolve));
  const credentials = {
    cert: certificatesToPem([svid.der]),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
  const server = createServer(credentials, (_, response) => {
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(encodeSpiffeBundle(bundleOf(served)), () => answered());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  server.unref();
  const relationship: FederationRelationship = {
    trustDomain: name,
    bundleEndpointUrl: `https://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    bundleEndpointProfile: { $case: 'httpsSpiffe', value: { endpointSpiffeId: endpoint } },
    trustDomainBundle: {
      trustDomain: name,
      x509Authorities: [{ asn1: certificate.der, tainted: false }],
      jwtAuthorities: [],
      witAuthorities: [],
      refreshHint: 86_400,
      sequenceNumber: 1,
    },
  };
  return {
    relationship,
    asked: () => asked,
    serve: (sequenceNumber: number) => void (served = sequenceNumber),
  };
}
