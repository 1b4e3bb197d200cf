// JWT-SVIDs for workloads: signed by the server for one identity and audience, kept until half of their life, and longer only while the server
// cannot be reached.
import { createHash } from 'node:crypto';
import type { SVIDService } from '../../../proto/gen/spire/api/server/svid/v1/svid.ts';
import type { Logger } from '../../log.ts';
import type { CallOptions, Client } from '../../rpc/service.ts';
import { renewalTime } from '../rotation.ts';
import type { RotationPolicy } from '../rotation.ts';
import type { AgentEntry } from '../sync/entry.ts';

export interface JwtSvid {
  readonly token: string;
  /** Epoch ms. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly renewAt: number;
}

export interface JwtSvids {
  fetch(entry: AgentEntry, audience: readonly string[], signal: AbortSignal): Promise<JwtSvid>;
  /** Forgets tokens that were signed with one of these keys; says how many. */
  forgetSignedBy(keyIds: ReadonlySet<string>): number;
  count(): number;
}

export interface JwtSvidsOptions {
  readonly client: () => Client<typeof SVIDService>;
  readonly maxSize: number;
  /** How long the server is waited for where a token is there that still holds. */
  readonly renewalTimeoutMs: number;
  readonly policy: RotationPolicy;
  readonly clock: () => number;
  readonly log: Logger;
}

export const jwtSvidCallMs = 30_000;

export function createJwtSvids(options: JwtSvidsOptions): JwtSvids {
  const { client, maxSize, renewalTimeoutMs, policy, clock, log } = options;
  const kept = new Map<string, JwtSvid>();

  const keep = (key: string, svid: JwtSvid): void => {
    kept.delete(key);
    kept.set(key, svid);
    const [oldest] = kept.keys();
    if (kept.size > maxSize && oldest !== undefined) kept.delete(oldest);
  };

  const sign = async (entry: AgentEntry, audience: readonly string[], limits: CallOptions): Promise<JwtSvid> => {
    const request = { entryId: entry.id, audience: [...audience] };
    const { svid } = await client().newJwtsvid(request, limits);
    if (svid === undefined || svid.token === '') throw new Error('server sent no JWT-SVID');
    const lifetime = { notBefore: svid.issuedAt * 1000, notAfter: svid.expiresAt * 1000 };
    if (lifetime.notAfter <= clock()) throw new Error('server sent a JWT-SVID that has expired');
    return {
      token: svid.token,
      issuedAt: lifetime.notBefore,
      expiresAt: lifetime.notAfter,
      renewAt: renewalTime(lifetime, { ...policy, availabilityTargetMs: 0 }),
    };
  };

  return {
    async fetch(entry, audience, signal) {
      if (entry.jwtSvidIncludeJti) return sign(entry, audience, { signal, deadlineMs: jwtSvidCallMs }); // each token is to be a new one
      const key = keyOf(entry, audience);
      const known = kept.get(key);
      if (known !== undefined && clock() < known.renewAt) {
        keep(key, known);
        return known;
      }
      try {
        const holds = known !== undefined && clock() < known.expiresAt;
        const deadlineMs = holds ? renewalTimeoutMs : jwtSvidCallMs;
        const svid = await sign(entry, audience, { signal, deadlineMs });
        keep(key, svid);
        return svid;
      } catch (error) {
        if (known === undefined || clock() >= known.expiresAt) throw error;
        log.warn({ spiffe_id: entry.spiffeId.toString(), err: error }, 'Unable to renew JWT; returning cached copy');
        return known;
      }
    },
    count: () => kept.size,
    forgetSignedBy(keyIds) {
      const before = kept.size;
      for (const [key, { token }] of kept) if (keyIds.has(keyIdOf(token))) kept.delete(key);
      return before - kept.size;
    },
  };
}

/** Two entries may have one SPIFFE ID and different lifetimes, so the entry counts, not the ID. */
function keyOf(entry: AgentEntry, audience: readonly string[]): string {
  const parts = [entry.id, String(entry.revisionNumber), entry.spiffeId.toString(), ...[...audience].sort()];
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}

function keyIdOf(token: string): string {
  const [header = ''] = token.split('.');
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString()) as { readonly kid?: unknown };
  return typeof kid === 'string' ? kid : '';
}
