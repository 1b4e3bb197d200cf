// spire.api.server.svid.v1.SVID: signs for agents what their entries say, for administrators what they ask, and intermediate CAs for downstream
// servers. Of a CSR only the public key counts, except where an administrator mints.
import type { NewX509SVIDParams, SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import type { SPIFFEID } from '../../../proto/gen/spire/api/types/spiffeid.ts';
import type { Csr } from '../../pki/csr.ts';
import { parseCsr } from '../../pki/csr.ts';
import { PkiError } from '../../pki/errors.ts';
import type { CallContext } from '../../rpc/call-context.ts';
import type { Handlers } from '../../rpc/service.ts';
import { internal, invalidArgument, notFound, unimplemented } from '../../rpc/status.ts';
import type { SpiffeId } from '../../spiffe/spiffe-id.ts';
import { parseSpiffeId } from '../../spiffe/spiffe-id.ts';
import type { TrustDomain } from '../../spiffe/trust-domain.ts';
import type { CertificateAuthority, IssuedJwtSvid } from '../ca/authority.ts';
import type { AuthorizedEntries } from '../store/authorized-entries.ts';
import type { EntryRecord } from '../store/records.ts';
import type { CallerOf } from './caller.ts';
import { requireCallerId } from './caller.ts';
import { checkDnsName, checkWildcardOverlap } from './dns-name.ts';
import { createPause } from './pause.ts';
import type { RateLimiter } from './rate-limit.ts';
import { attempt, checkArgument, errorText, statusOfItem } from './refusal.ts';
import { refuseWitSvid } from './wit-svid.ts';
import { checkWorkloadId, encodeSpiffeId, parseWorkloadId } from './wire/spiffe-id.ts';
import { encodeChain, encodeJwtSvid, encodeX509Svid } from './wire/svid.ts';

export interface SvidServiceOptions {
  readonly trustDomain: TrustDomain;
  readonly authority: CertificateAuthority;
  readonly cache: Pick<AuthorizedEntries, 'authorizedEntry'>;
  readonly limiter: RateLimiter;
  readonly callerOf: CallerOf;
  readonly disableJwtSvids: boolean;
}

export function createSvidService(options: SvidServiceOptions): Handlers<typeof SVIDService> {
  const { trustDomain, authority, cache, limiter, callerOf } = options;

  return {
    async mintX509Svid({ csr: der, ttl }) {
      if (der.length === 0) throw invalidArgument('missing CSR');
      const csr = parseMintCsr(der);
      const spiffeId = csrId(csr);
      const { publicKey, subject, dnsNames } = csr;
      checkDnsNames(dnsNames);
      const request = { publicKey, spiffeId, dnsNames, subject, ttlMs: ttl * 1000 };
      return {
        svid: encodeX509Svid(
          spiffeId,
          await attempt('failed to sign X509-SVID', () => authority.signX509Svid(request)),
        ),
      };
    },

    async mintJwtsvid({ id, audience, ttl }) {
      checkJwtEnabled();
      return { svid: await signJwtSvid(id, audience, ttl, false) };
    },

    async mintWitsvid() {
      throw unimplemented('WIT functionality is disabled');
    },

    async batchNewWitsvid({ params }, context) {
      if (params.length === 0) throw invalidArgument('missing parameters');
      await limiter.admit(context, params.length, 'rejecting request due to certificate signing rate limiting');
      const agent = String(requireCallerId(callerOf(context)));
      const isAuthorized = (entryId: string): boolean => cache.authorizedEntry(agent, entryId) !== undefined;
      const refused = params.map((item) => statusOfItem(async () => refuseWitSvid(item, isAuthorized)));
      return { results: (await Promise.all(refused)).map(({ status }) => ({ status, svid: undefined })) };
    },

    async batchNewX509Svid({ params }, context) {
      if (params.length === 0) throw invalidArgument('missing parameters');
      await limiter.admit(context, params.length, 'rejecting request due to certificate signing rate limiting');
      const agent = String(requireCallerId(callerOf(context)));
      const results = [];
      const pause = createPause();
      for (const item of params) {
        await pause();
        // Nobody waits for the rest.
        context.signal.throwIfAborted();
        const { status, value } = await statusOfItem(() => newX509Svid(agent, item));
        results.push({ status, svid: value });
      }
      return { results };
    },

    async newJwtsvid({ entryId, audience }, context) {
      await limiter.admit(context, 1, 'rejecting request due to JWT signing request rate limiting');
      checkJwtEnabled();
      const entry = authorizedEntry(context, entryId);
      const id = encodeSpiffeId(parseSpiffeId(entry.spiffeId));
      const includeJti = entry.additionalAttributes?.jwtSvidIncludeJti ?? false;
      return { svid: await signJwtSvid(id, audience, entry.jwtSvidTtl, includeJti) };
    },

    async newDownstreamX509Ca({ csr: der, preferredTtl }, context) {
      await limiter.admit(context, 1, 'rejecting request due to downstream CA signing rate limit');
      const { publicKey } = parseSignedCsr(der);
      const requester = requireCallerId(callerOf(context));
      const ttlMs = preferredTtl * 1000;
      const { chain } = await attempt('failed to sign downstream X.509 CA', () =>
        authority.signDownstreamX509Ca({ publicKey, requester, ttlMs }),
      );
      const x509Authorities = authority.bundle().x509Authorities.map(({ asn1 }) => asn1);
      return { caCertChain: encodeChain(chain), x509Authorities };
    },
  };

  async function newX509Svid(agent: string, { entryId, csr: der }: NewX509SVIDParams) {
    if (entryId === '') throw invalidArgument('missing entry ID');
    if (der.length === 0) throw invalidArgument('missing CSR');
    const entry = cache.authorizedEntry(agent, entryId);
    // One answer for both: an agent does not learn which entries others have.
    if (entry === undefined) throw notFound('entry not found or not authorized');
    const { publicKey } = parseSignedCsr(der);
    const spiffeId = spiffeIdOf(entry);
    const request = { publicKey, spiffeId, dnsNames: entry.dnsNames, ttlMs: entry.x509SvidTtl * 1000 };
    return encodeX509Svid(spiffeId, await attempt('failed to sign X509-SVID', () => authority.signX509Svid(request)));
  }

  async function signJwtSvid(
    wireId: SPIFFEID | undefined,
    audience: readonly string[],
    ttl: number,
    includeJti: boolean,
  ) {
    const spiffeId = checkArgument('invalid SPIFFE ID', () => parseWorkloadId(trustDomain, wireId));
    const named = audience.filter((one) => one !== '');
    if (named.length === 0) throw invalidArgument('at least one audience is required');
    const request = { spiffeId, audience: named, ttlMs: ttl * 1000, includeJti };
    const issued: IssuedJwtSvid = await attempt('failed to sign JWT-SVID', () => authority.signJwtSvid(request));
    return encodeJwtSvid(spiffeId, issued);
  }

  function authorizedEntry(context: CallContext, entryId: string): EntryRecord {
    const entry = cache.authorizedEntry(String(requireCallerId(callerOf(context))), entryId);
    if (entry === undefined) throw notFound('entry not found or not authorized');
    return entry;
  }

  function checkJwtEnabled(): void {
    if (options.disableJwtSvids) throw unimplemented('JWT functionality is disabled');
  }

  function csrId({ uris }: Csr): SpiffeId {
    const [uri, ...others] = uris;
    if (uri === undefined) throw invalidArgument('CSR URI SAN is required');
    if (others.length > 0) throw invalidArgument('only one URI SAN is expected');
    return checkArgument('CSR URI SAN is invalid', () => {
      const id = parseSpiffeId(uri);
      checkWorkloadId(trustDomain, id);
      return id;
    });
  }
}

function spiffeIdOf({ spiffeId }: EntryRecord): SpiffeId {
  try {
    return parseSpiffeId(spiffeId);
  } catch (cause) {
    throw internal(`entry has malformed SPIFFE ID: ${errorText(cause)}`, { cause });
  }
}

function checkDnsNames(dnsNames: readonly string[]): void {
  checkArgument('CSR DNS name is invalid', () => dnsNames.forEach((name) => checkDnsName(name)));
  checkArgument('CSR DNS name contains a wildcard that covers another non-wildcard name', () =>
    checkWildcardOverlap(dnsNames),
  );
}

function parseMintCsr(der: Uint8Array): Csr {
  return parseOr(der, 'failed to verify CSR signature');
}

function parseSignedCsr(der: Uint8Array): Csr {
  return parseOr(der, 'invalid CSR signature');
}

function parseOr(der: Uint8Array, badSignature: string): Csr {
  try {
    return parseCsr(der);
  } catch (cause) {
    const what = cause instanceof PkiError && cause.code === 'CSR_SIGNATURE' ? badSignature : 'malformed CSR';
    throw invalidArgument(`${what}: ${errorText(cause)}`, { cause });
  }
}
