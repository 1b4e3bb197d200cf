// spire.agent.debug.v1.Debug: how long this agent runs, how much it holds, when it last heard from its server, and its own chain up to the root.
import type { DebugService, GetInfoResponse } from '../../../proto/gen/spire/api/agent/debug/v1/debug.ts';
import { subjectText } from '../../pki/certificate.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { PkiError } from '../../pki/errors.ts';
import { leafId, verifyX509Svid } from '../../pki/x509-svid.ts';
import type { Handlers } from '../../rpc/service.ts';
import { internal } from '../../rpc/status.ts';
import type { TrustBundle } from '../../spiffe/bundle.ts';

export interface DebugOptions {
  /** Of the agent itself: DER, leaf first. */
  readonly chain: () => readonly Uint8Array[];
  readonly bundle: () => TrustBundle;
  readonly x509SvidCount: () => number;
  readonly jwtSvidCount: () => number;
  /** Epoch ms, as are the others; undefined before the first. */
  readonly lastSync: () => number | undefined;
  readonly startedAt: number;
  readonly clock: () => number;
}

/** SPIRE answers from memory for as long. */
const freshMs = 5_000;

export function createDebugService(options: DebugOptions): Handlers<typeof DebugService> {
  const { chain, bundle, x509SvidCount, jwtSvidCount, lastSync, startedAt, clock } = options;
  let known: { readonly at: number; readonly info: GetInfoResponse } | undefined;

  const gather = (now: number): GetInfoResponse => {
    const svidChain = verifiedChain(chain(), bundle(), now).map(encodeCertificate);
    const synced = lastSync();
    return {
      svidChain,
      uptime: Math.trunc((now - startedAt) / 1000),
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- older commands print it
      svidsCount: x509SvidCount(),
      cachedX509SvidsCount: x509SvidCount(),
      cachedJwtSvidsCount: jwtSvidCount(),
      cachedSvidstoreX509SvidsCount: 0, // there are no stores
      lastSyncSuccess: synced === undefined ? 0 : Math.floor(synced / 1000),
    };
  };

  return {
    async getInfo() {
      const now = clock();
      if (known === undefined || now < known.at || now - known.at >= freshMs) known = { at: now, info: gather(now) };
      return known.info;
    },
  };
}

function verifiedChain(chain: readonly Uint8Array[], bundle: TrustBundle, now: number): readonly Certificate[] {
  const { trustDomain, x509Authorities } = bundle;
  try {
    return verifyX509Svid({ chain, roots: x509Authorities.map(({ asn1 }) => asn1), now, trustDomain }).chain;
  } catch (cause) {
    if (!(cause instanceof PkiError)) throw cause;
    throw internal(`failed to verify agent SVID: ${cause.message}`, { cause });
  }
}

function encodeCertificate(certificate: Certificate): GetInfoResponse['svidChain'][number] {
  const [uri] = certificate.uris;
  const id = uri === undefined ? undefined : leafId(certificate);
  return {
    id: id === undefined ? undefined : { trustDomain: id.trustDomain.name, path: id.path },
    expiresAt: Math.floor(certificate.notAfter / 1000),
    subject: subjectText(certificate),
  };
}
