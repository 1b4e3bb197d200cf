// Changes that only agents and downstream servers make: over TLS, with an SVID.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { Entry } from '../../../proto/gen/spire/api/types/entry.ts';
import { createCsr } from '../../../runtime/pki/csr.ts';
import { generateKeyPairSync } from '../../../runtime/pki/key-type.ts';
import { signerOf } from '../../../runtime/pki/signer.ts';
import { parseSpiffeId } from '../../../runtime/spiffe/spiffe-id.ts';
import { checkResults, example, outputMask } from './change.ts';
import type { Prepare } from './change.ts';
import type { CutStage } from './cut-stage.ts';

export const remoteChanges = {
  async RenewAgent(stage) {
    const { agent, path } = await stage.attestAgent();
    const csr = createCsr({ signer: signerOf(generateKeyPairSync('ec-p256').privateKey) });
    const waiting = "SELECT FROM agents WHERE spiffe_id = $1 AND new_x509_svid_serial_number <> ''";
    return {
      make: () => agent.renewAgent({ params: { csr } }),
      measure: () => stage.countRows(waiting, `spiffe://example.org${path}`),
    };
  },
  async NewDownstreamX509CA(stage) {
    const { svid, path } = await newDownstream(stage);
    const privateKey = generateKeyPairSync('ec-p256').privateKey;
    const csr = createCsr({ signer: signerOf(privateKey), spiffeId: parseSpiffeId('spiffe://example.org') });
    // An answer that was lost leaves an intent, which is what says that something may have been signed.
    const intents = "SELECT FROM authority_intents WHERE kind = 'downstream-ca' AND requested_by = $1 LIMIT 1";
    return {
      make: () => svid.newDownstreamX509Ca({ csr, preferredTtl: 0 }),
      measure: () => stage.countRows(intents, `spiffe://example.org${path}`),
    };
  },
  async PublishJWTAuthority(stage) {
    const { bundle } = await newDownstream(stage);
    const keyId = randomUUID();
    const kept = `SELECT FROM bundles WHERE authorities::text LIKE '%' || $1 || '%'`;
    const publicKey = generateKeyPairSync('ec-p256').publicKey.export({ format: 'der', type: 'spki' });
    const jwtAuthority = { keyId, publicKey, expiresAt: Math.floor(Date.now() / 1000) + 3_600, tainted: false };
    return {
      make: () => bundle.publishJwtAuthority({ jwtAuthority }),
      measure: () => stage.countRows(kept, keyId),
    };
  },
} satisfies Readonly<Record<string, Prepare>>;

/** A caller that the server knows as a downstream server. */
async function newDownstream(stage: CutStage) {
  const path = `/downstream/${randomUUID()}`;
  const selectors = [{ type: 'unix', value: 'uid:1000' }];
  const entry = {
    ...Entry.create({ spiffeId: example(path), parentId: example('/node'), selectors }),
    downstream: true,
  };
  checkResults((await stage.entry.batchCreateEntry({ entries: [entry], outputMask })).results);
  const clients = await stage.connectAs(path);
  // The server hears of the entry in a moment.
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const answer = await clients.bundle
      .publishJwtAuthority({ jwtAuthority: undefined })
      .catch((error: unknown) => String(error instanceof Error ? error.message : error));
    if (answer === 'missing JWT authority') break;
    await delay(50);
  }
  return { ...clients, path };
}
