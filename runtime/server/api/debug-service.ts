// spire.api.server.debug.v1.Debug, on the Unix socket only: how many of what this server knows, how long it runs, and its own chain up to the root.
import type { DebugService, GetInfoResponse } from '../../../proto/gen/spire/api/server/debug/v1/debug.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { subjectText } from '../../pki/certificate.ts';
import { certificatesFromPem } from '../../pki/pem.ts';
import { leafId, verifyX509Svid } from '../../pki/x509-svid.ts';
import type { Handlers } from '../../rpc/service.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import type { CertificateAuthority } from '../ca/authority.ts';
import type { AgentStore, BundleStore, EntryStore } from '../store/store.ts';
import { attempt } from './refusal.ts';
import { encodeSpiffeId } from './wire/spiffe-id.ts';

export interface DebugServiceOptions {
  readonly store: Pick<AgentStore, 'countAgents'> &
    Pick<EntryStore, 'countEntries'> &
    Pick<BundleStore, 'countBundles'>;
  readonly authority: Pick<CertificateAuthority, 'bundle' | 'serverCredentials'>;
  readonly clock: () => number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
}

/** Counting costs the database a little; nobody needs it fresher than SPIRE has it. */
const cacheMs = 5_000;

export function createDebugService(options: DebugServiceOptions): Handlers<typeof DebugService> {
  const { store, authority, clock, startedAt } = options;
  let cached: { readonly at: number; readonly info: Promise<GetInfoResponse> } | undefined;

  return {
    getInfo() {
      if (cached === undefined || clock() - cached.at >= cacheMs) cached = { at: clock(), info: gather() };
      const { info } = cached;
      // What failed is tried again by the next call.
      info.catch(() => (cached = cached?.info === info ? undefined : cached));
      return info;
    },
  };

  async function gather(): Promise<GetInfoResponse> {
    const [agentsCount, entriesCount, federatedBundlesCount] = [
      await attempt('failed to count agents', () => store.countAgents({})),
      await attempt('failed to count entries', () => store.countEntries({})),
      await attempt('failed to count bundles', () => store.countBundles()),
    ];
    const chain = await attempt('failed verification against bundle', () => Promise.resolve(ownChain()));
    const uptime = Math.trunc((clock() - startedAt) / 1000);
    return { agentsCount, entriesCount, federatedBundlesCount, uptime, svidChain: chain.map(encodeCertificate) };
  }

  function ownChain(): readonly Certificate[] {
    const { trustDomain, x509Authorities } = authority.bundle();
    return verifyX509Svid({
      chain: certificatesFromPem(authority.serverCredentials().certificateChainPem),
      roots: x509Authorities.map(({ asn1 }) => asn1),
      now: clock(),
      trustDomain,
    }).chain;
  }
}

function encodeCertificate(certificate: Certificate): GetInfoResponse['svidChain'][number] {
  const id = idOf(certificate);
  return {
    id: id === undefined ? undefined : encodeSpiffeId(id),
    subject: subjectText(certificate),
    expiresAt: Math.floor(certificate.notAfter / 1000),
  };
}

/** An authority above ours may well have none. */
function idOf(certificate: Certificate): SpiffeId | undefined {
  try {
    return leafId(certificate);
  } catch {
    return undefined;
  }
}
