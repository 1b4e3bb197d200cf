// Looks at when every authority of a trust domain ends, and names those that end soon or that nobody renewed. Changes nothing.
import type { Finding, ServerAuthorities } from '../activities/trust/rotation.ts';
import { parseDuration } from '../runtime/spiffe/duration.ts';
import { onTrustOnce } from './lib/calls.ts';
import { nameTrustDomain } from './lib/progress.ts';
import { findTopology } from './lib/topology.ts';

export interface ScanExpiryInput {
  /** As a rotation takes them. */
  readonly spec?: unknown;
  readonly topology?: unknown;
  /** How long before its end a root is to be replaced; 30 days where nothing is said. */
  readonly rootBefore?: string;
  /** An intermediate CA is renewed at half its life: 2 h before its end something is wrong. */
  readonly intermediateBefore?: string;
}

export interface ExpiringAuthority {
  readonly tier: string;
  readonly server: string;
  readonly kind: 'x509' | 'jwt';
  readonly authorityId: string;
  readonly expiresAt: string;
  /** Whether it ends sooner than it should. */
  readonly soon: boolean;
}

export interface ExpiryReport {
  readonly trustDomain: string;
  readonly authorities: readonly ExpiringAuthority[];
  readonly findings: readonly Finding[];
}

export async function scanExpiry(input: ScanExpiryInput): Promise<ExpiryReport> {
  const { rootBefore = '720h', intermediateBefore = '2h', ...where } = input;
  const limits = { root: parseDuration(rootBefore), intermediate: parseDuration(intermediateBefore) };
  const { checkRotation, surveyTrust } = onTrustOnce();
  const asked = { operation: 'rotateX509Authority', request: { ...where, dryRun: true } } as const;
  const { plan, topology: given, ...request } = await checkRotation(asked);
  nameTrustDomain(request.trustDomain);
  if (given === undefined && plan === undefined) throw new Error('neither plan nor topology'); // checked with the request
  const topology = given ?? (await findTopology(plan as NonNullable<typeof plan>));
  const [x509, jwt] = await Promise.all(
    (['x509', 'jwt'] as const).map((kind) => surveyTrust({ topology, request: { ...request, kind } })),
  );
  const judge =
    (kind: 'x509' | 'jwt') =>
    (one: ServerAuthorities): ExpiringAuthority => {
      const { tier, server, active } = one;
      const { authorityId, expiresAt, upstreamAuthorityId } = active;
      const limit = kind === 'x509' && upstreamAuthorityId === undefined ? limits.root : limits.intermediate;
      return {
        tier,
        server: server.name,
        kind,
        authorityId,
        expiresAt,
        soon: Date.parse(expiresAt) - Date.now() < limit,
      };
    };
  const authorities = [...(x509?.authorities ?? []).map(judge('x509')), ...(jwt?.authorities ?? []).map(judge('jwt'))];
  return { trustDomain: request.trustDomain, authorities, findings: x509?.findings ?? [] };
}
