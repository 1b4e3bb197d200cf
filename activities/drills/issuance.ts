// Whether a tier issues: a throw-away X.509-SVID and JWT-SVID are minted under an identity that no workload admits. Neither they nor the key leave this file.
import { createCsr } from '../../runtime/pki/csr.ts';
import { generateKeyPair } from '../../runtime/pki/key-type.ts';
import { signerOf } from '../../runtime/pki/signer.ts';
import { parseSpiffeId } from '../../runtime/spiffe/spiffe-id.ts';
import type { X509Source } from '../../runtime/workloadapi/x509-source.ts';
import type { SpireServer } from '../clients/spire-server.ts';
import { reasonOf } from '../failures.ts';
import { askTier } from '../trust/ask-tier.ts';
import type { Tier } from '../trust/topology.ts';
import type { IssuanceLook, Tried } from './drill.ts';

const probePath = '/prod/onprem/platform/drill';
const lifetimeSeconds = 30;

export async function tryIssuance(source: X509Source, trustDomain: string, tier: Tier): Promise<IssuanceLook> {
  const id = parseSpiffeId(`spiffe://${trustDomain}${probePath}`);
  const { privateKey } = await generateKeyPair('ec-p256');
  const csr = createCsr({ signer: signerOf(privateKey), spiffeId: id });
  const on = (act: (server: SpireServer) => Promise<unknown>) => tried(() => askTier(source, trustDomain, tier, act));
  const [x509, jwt] = await Promise.all([
    on(({ svid }) => svid.mintX509Svid({ csr, ttl: lifetimeSeconds })),
    on(({ svid }) =>
      svid.mintJwtsvid({
        id: { trustDomain: id.trustDomain.name, path: id.path },
        audience: ['drill'],
        ttl: lifetimeSeconds,
      }),
    ),
  ]);
  return { tier: tier.name, x509, jwt };
}

/** What fails is what is looked for. */
export async function tried(act: () => Promise<unknown>): Promise<Tried> {
  try {
    await act();
    return { works: true };
  } catch (cause) {
    return { works: false, said: reasonOf(cause).slice(0, longestSaid) };
  }
}

/** Histories keep it, once for each look. */
const longestSaid = 300;
